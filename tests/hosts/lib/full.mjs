// Run in a mount namespace of its own: a store on a small file system that fills up.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { Store } from '../../maint/lib/store.mjs';

const disk = fs.mkdtempSync(path.join(os.tmpdir(), 'kvs-full-'));
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=755', 'tmpfs', disk]);
process.env.TMPDIR = disk;
const store = new Store();

async function status(endpoint, body) {
  const { status: code, json } = await store.request(endpoint, body);
  return [code, json];
}

try {
  await store.serve();
  await store.ok('/kv/set', { key: ['n'], value: 41 });
  await store.ok('/queue/enqueue', { topic: 't', payload: 'before' });
  const value = 'x'.repeat(40_000);
  let stored = 0;
  let refused;
  for (; !refused && stored < 1000; ) {
    const [code, json] = await status('/kv/set', { key: ['fill', stored], value });
    if (code === 200) stored++;
    else refused = { code, json };
  }
  assert.equal(refused.code, 507, JSON.stringify(refused));
  assert.equal(refused.json.error.code, 'full');
  assert.match(refused.json.error.message, /no space left; nothing was changed/);
  assert.equal((await store.ok('/kv/get', { key: ['fill', stored] })).entry, null, 'nothing was changed');
  assert.equal((await store.ok('/kv/get', { key: ['fill', stored - 1] })).entry.value, value, 'what is there is read');
  assert.equal((await store.ok('/kv/keys', { filter: 'fill.>', limit: 1000 })).keys.length, stored);
  // Down to the last byte: then nothing is taken any more, and whatever is refused changes nothing.
  let small = 0;
  while (small < 3000 && (await status('/kv/set', { key: ['s', small], value: small }))[0] === 200) small++;
  const before = (await store.maint(['dump'])).out;
  for (const [endpoint, body] of [
    ['/kv/set', { key: ['n'], value: 43 }],
    ['/kv/increment', { key: ['n'] }],
    ['/kv/delete', { key: ['fill', 0] }],
    ['/queue/enqueue', { topic: 't', payload: 'more' }],
  ]) {
    const [code, json] = await status(endpoint, body);
    assert.equal(code, 507, `${endpoint}: ${code} ${JSON.stringify(json)}`);
  }
  assert.equal((await store.maint(['dump'])).out, before, 'nothing was changed');

  // The same process goes on as soon as there is room.
  execFileSync('mount', ['-o', 'remount,size=24m', disk]);
  assert.equal((await store.ok('/kv/increment', { key: ['n'] })).entry?.value ?? 42, 42);
  for (let i = 0; i < stored; i++) await store.ok('/kv/delete', { key: ['fill', i] });
  const { messages } = await store.ok('/queue/dequeue', { topic: 't' });
  await store.ok('/queue/ack', { id: messages[0].id, lease: messages[0].lease });
  await store.stop();
  const { code, out } = await store.maint(['check']);
  assert.equal(code, 0, out);
  console.log(`507 after ${stored} values of 40000 bytes and ${small} small ones`);
} finally {
  await store.stop();
  store.stderr = store.stderr.replace(/^.*(database or disk is full|disk I\/O error).*\n/gm, '');
  await store.remove();
  execFileSync('umount', [disk]);
  fs.rmdirSync(disk);
}
