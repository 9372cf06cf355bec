// A backup under full load restores to one moment: all that was acknowledged before it began, nothing half done.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { it } from 'node:test';

import { Store } from '../maint/lib/store.mjs';

const WRITERS = 6; // half of them at each process
const MESSAGE_EVERY = 5;
const rounds = Number(process.env.KVS_ROUNDS ?? (process.env.KVS_LONG ? 100 : 3));

// A writer's n-th operation sets two keys to n, adds to a sum that all share, and now and then sends a message.
class Writer {
  constructor(store, socket, name) {
    this.store = store;
    this.socket = socket;
    this.name = name;
    this.sent = this.acknowledged = 0;
  }

  async run(on) {
    while (on()) {
      const n = ++this.sent;
      const body = {
        mutations: [
          { type: 'set', key: [this.name, 'a'], value: n },
          { type: 'set', key: [this.name, 'pad', n % 40], value: 'x'.repeat((n * 37) % 3000) },
          { type: 'increment', key: ['sum'] },
          { type: 'set', key: [this.name, 'b'], value: n },
        ],
        enqueues: n % MESSAGE_EVERY ? [] : [{ payload: n, options: { topic: this.name } }],
      };
      const { status, text } = await this.store.request('/kv/atomic', body, this.socket);
      assert.equal(status, 200, text);
      this.acknowledged = n;
    }
  }
}

async function good(promise) {
  const { code, out, err } = await promise;
  assert.equal(code, 0, `${out}${err}`);
  return out;
}

function readDump(text) {
  const values = new Map();
  const messages = new Map();
  for (const line of text.trim().split('\n').map((l) => JSON.parse(l))) {
    if (line.type === 'entry' && 'value' in line) values.set(JSON.stringify(line.key), line.value);
    if (line.type === 'message') messages.set(line.topic, [...(messages.get(line.topic) ?? []), line.payload]);
  }
  return { values, messages };
}

function judge(dump, writers, before, after) {
  let sum = 0;
  for (const [i, w] of writers.entries()) {
    const n = dump.values.get(JSON.stringify([w.name, 'a'])) ?? 0;
    assert.equal(dump.values.get(JSON.stringify([w.name, 'b'])) ?? 0, n, `${w.name}: half an operation`);
    assert.ok(n >= before[i], `${w.name}: operation ${before[i]} was acknowledged before the backup began, which has ${n}`);
    assert.ok(n <= after[i], `${w.name}: ${n} is beyond what was sent`);
    const sent = Array.from({ length: Math.floor(n / MESSAGE_EVERY) }, (_, at) => (at + 1) * MESSAGE_EVERY);
    assert.deepEqual(dump.messages.get(w.name) ?? [], sent, `${w.name}: its messages`);
    sum += n;
  }
  assert.equal(dump.values.get('["sum"]') ?? 0, sum, 'one moment for all writers');
  return sum;
}

it(`${rounds} backups beside ${WRITERS} writers over two processes`, async (t) => {
  const store = new Store();
  const sockets = [store.path('s1'), store.path('s2')];
  let on = true;
  let operations = 0;
  try {
    for (const socket of sockets) await store.serve(socket);
    const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(store, sockets[i % 2], `w${i}`));
    const all = Promise.all(writers.map((w) => w.run(() => on)));
    all.catch(() => {});
    while (writers.some((w) => w.acknowledged < 3)) await Promise.race([all, new Promise((r) => setTimeout(r, 20))]);
    for (let n = 0; n < rounds; n++) {
      const before = writers.map((w) => w.acknowledged);
      await good(store.maint(['backup', '--force', ...(n % 2 ? ['--quick'] : []), 'b.db']));
      const after = writers.map((w) => w.sent);
      const db = store.path(`restored-${n}.db`);
      await good(store.maint(['restore', '--db', db, 'b.db']));
      assert.match(await good(store.maint(['check', '--db', db])), /no problem found/);
      operations = judge(readDump(await good(store.maint(['dump', '--db', db]))), writers, before, after);
      for (const end of ['', '-wal', '-shm', '.lock']) fs.rmSync(db + end, { force: true });
    }
    on = false;
    await all;
    t.diagnostic(`${rounds} backups; ${operations} operations in the last, ${writers.reduce((n, w) => n + w.sent, 0)} in all`);
  } finally {
    on = false;
    await store.stop();
    await store.remove();
  }
});
