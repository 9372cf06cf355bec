// A load that has all workers of one kvs.fcgi at once in the same places: reads, writes of the same keys, the queue, locks,
// watches that come and go.  Ends with status 1 where anything was not answered, or where the program said anything.
import assert from 'node:assert/strict';

import { Store, TOKEN } from '../maint/lib/store.mjs';
import { FcgiConnection, fcgiStream } from '../watch/lib/fcgi.mjs';

const CLIENTS = 16;
const ROUNDS = process.env.KVS_LONG ? 2000 : 40;

const store = new Store();
store.env.KVS_DURABILITY = 'relaxed';
await store.serve();
let answered = 0;
let seen = 0;

async function client(i) {
  const connection = new FcgiConnection(store.socket, TOKEN);
  const call = async (path, body) => {
    const { status, json } = await connection.call(path, body);
    assert.equal(status, 200, JSON.stringify(json));
    answered++;
    return json;
  };
  for (let n = 0; n < ROUNDS; n++) {
    const watch = fcgiStream(store.socket, TOKEN, '/kv/watch', { include: 'latest' }, () => seen++, () => {});
    await call('/kv/set', { key: ['shared', n % 7], value: i });
    await call('/kv/atomic', {
      mutations: [{ type: 'increment', key: ['sum'] }],
      enqueues: [{ payload: n, options: { topic: 't' } }],
    });
    await call('/kv/list', { prefix: ['shared'] });
    const { messages } = await call('/queue/dequeue', { topic: 't', limit: 2, waitMs: 5 });
    for (const m of messages) await call('/queue/ack', { id: m.id, lease: m.lease });
    const lock = await call('/lock/acquire', { name: 'l', ttl: 1000 });
    if (lock.ok) await call('/lock/release', { name: 'l', token: lock.token });
    watch.destroy();
  }
  connection.close();
}

try {
  await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
} finally {
  await store.stop();
}
assert.equal(store.stderr, '');
assert.ok(seen > 0);
await store.remove();
console.log(`${CLIENTS} clients, ${answered} answers, ${seen} pieces of watches`);
