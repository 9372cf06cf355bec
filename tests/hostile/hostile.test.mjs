// Hostile peers at kvs.fcgi: others are served, and descriptors, threads and memory stay bounded.  Nothing is judged by how
// long it takes; a wait ends after LAST_MS.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Store, TOKEN, sleep } from '../maint/lib/store.mjs';
import { FcgiConnection } from '../watch/lib/fcgi.mjs';
import { Crowd } from './lib/crowd.mjs';
import { holdings } from './lib/process.mjs';

// What a sanitizer keeps of freed memory is not the program's.
process.env.ASAN_OPTIONS = [
  process.env.ASAN_OPTIONS ?? '',
  'quarantine_size_mb=1:thread_local_quarantine_size_kb=16:allocator_release_to_os_interval_ms=100',
].join(':');

const LAST_MS = 120_000;
const IO_TIMEOUT = 8000; // ms that the server waits for the rest of a request
const REQUESTS = process.env.KVS_LONG ? 1_000_000 : 20_000;
const WARM_UP = REQUESTS / 5;
const CLIENTS = 8;
const SPARE = 16; // descriptors: database connections, the socket itself
const DEPUTY = 1; // thread that commits for others, made when it is first needed
const GROWTH = 8; // MiB
const LOUD = 20; // values of LOUD_BYTES each: more than the 1 MiB that a watch may have waiting for it
const LOUD_BYTES = 100_000;

let store;
let server;
let crowd;
let idle; // what the server holds with the good clients alone
const good = [];

async function until(reached, what) {
  for (const end = Date.now() + LAST_MS; Date.now() < end; await sleep(50)) if (await reached()) return;
  assert.fail(`${what}: not within ${LAST_MS} ms; the server holds ${JSON.stringify(holdings(server.pid))}`);
}

// Well-behaved clients ask n times in all; each must be served.
async function ask(n, path = '/kv/get', body = { key: ['good'] }) {
  let left = n;
  await Promise.all(
    good.map(async (client) => {
      while (left-- > 0) {
        const { status, json } = await client.call(path, body);
        assert.equal(status, 200, JSON.stringify(json));
      }
    }),
  );
}

// The hostile ones are known to be gone: descriptors are back.
async function quiet() {
  await until(() => holdings(server.pid).descriptors <= idle.descriptors + SPARE, 'descriptors are given back');
  assert.ok(holdings(server.pid).threads <= idle.threads + DEPUTY);
}

function noMoreThan(descriptors, memory, t) {
  const now = holdings(server.pid);
  t.diagnostic(
    `${now.descriptors - idle.descriptors} descriptors and ${(now.memory - idle.memory).toFixed(1)} MiB more than idle, ${now.threads} threads`,
  );
  assert.ok(now.descriptors <= idle.descriptors + descriptors + SPARE, `${now.descriptors} descriptors`);
  assert.ok(now.memory - idle.memory <= memory, `${now.memory - idle.memory} MiB`);
  assert.ok(now.threads <= idle.threads + DEPUTY, `${now.threads} threads`);
}

describe('hostile peers', () => {
  before(async () => {
    store = new Store();
    Object.assign(store.env, { KVS_IO_TIMEOUT: String(IO_TIMEOUT), KVS_DURABILITY: 'relaxed' });
    server = await store.serve();
    for (let i = 0; i < CLIENTS; i++) good.push(new FcgiConnection(store.socket, TOKEN));
    await ask(CLIENTS, '/kv/set', { key: ['good'], value: 1 });
    for (let i = 0; i < LOUD; i++) await ask(1, '/kv/set', { key: ['loud', i], value: 'x'.repeat(LOUD_BYTES) });
    await ask(500);
    crowd = new Crowd(store.socket, TOKEN);
    await crowd.state();
    idle = holdings(server.pid);
  });

  it('1,000 half-open and slow connections: others are served, those are ended', async (t) => {
    for (const kind of ['silent', 'halfHead', 'halfBody', 'slowHead', 'slowBody']) await crowd.open(kind, 200);
    noMoreThan(1000, 64, t);
    await ask(500);
    await until(async () => (await crowd.state()).open === 0, 'the server ends what does not come to an end');
    const { answered } = await crowd.state();
    t.diagnostic(`${answered} of the slow bodies were served`);
    await quiet();
    await ask(500);
  });

  it('requests taken back, and floods of connections that are left at once', async (t) => {
    await crowd.open('abort', 50);
    await crowd.open('leave', 50);
    for (let i = 0; i < 10; i++) {
      await ask(200);
      await sleep(50);
    }
    // Each leaves a connection a tick; those that the server has not yet looked at are in its queue.
    noMoreThan(4096, 64, t);
    await crowd.leave();
    await quiet();
    await ask(500);
    assert.equal((await good[0].call('/kv/get', { key: ['never'] })).json.entry, null, 'what was taken back was not done');
  });

  it('clients that do not read a watch or a large answer', async (t) => {
    const [watches, answers] = [50, 10];
    const answer = (LOUD * LOUD_BYTES) / 2 ** 20;
    await crowd.open('deafWatch', watches);
    await crowd.open('deafAnswer', answers);
    for (let i = 0; i < LOUD; i++) await ask(1, '/kv/set', { key: ['loud', i], value: 'y'.repeat(LOUD_BYTES) });
    await ask(500);
    // A watch is ended when more than 1 MiB waits for it; an answer is kept until it is taken or io_timeout is over.
    noMoreThan(watches + answers, watches * 1.5 + answers * answer * 2 + 64, t);
    await until(() => holdings(server.pid).descriptors <= idle.descriptors + SPARE, 'the deaf are cut off');
    await crowd.leave();
    await quiet();
    await until(() => holdings(server.pid).memory - idle.memory < 64, 'memory is given back');
    await ask(500);
  });

  it(`${REQUESTS} requests: nothing grows`, async (t) => {
    const body = { mutations: [{ type: 'set', key: ['grow'], value: 'x'.repeat(300) }], enqueues: [{ payload: 1, options: { topic: 'g' } }] };
    const round = async (n) => {
      await ask(Math.floor(n * 0.8));
      await ask(Math.floor(n * 0.1), '/kv/atomic', body);
      await ask(Math.floor(n * 0.1), '/queue/dequeue', { topic: 'g' });
      await ask(1, '/queue/purge', { topic: 'g' });
    };
    const steps = 10;
    await round(WARM_UP);
    const warm = holdings(server.pid);
    for (let i = 0; i < steps; i++) await round((REQUESTS - WARM_UP) / steps);
    const now = holdings(server.pid);
    t.diagnostic(
      `after ${WARM_UP}: ${warm.descriptors} descriptors, ${warm.memory.toFixed(1)} MiB; after all: ${now.descriptors}, ${now.memory.toFixed(1)} MiB`,
    );
    assert.ok(now.descriptors <= warm.descriptors + 4, `${now.descriptors} descriptors`);
    assert.ok(now.memory <= warm.memory + GROWTH, `${now.memory} MiB`);
    assert.ok(now.threads <= idle.threads + DEPUTY, `${now.threads} threads`);
  });

  after(async () => {
    for (const client of good) client.close();
    await crowd?.end();
    await store?.stop();
    assert.equal(store.stderr, '');
    await store.remove();
  });
});
