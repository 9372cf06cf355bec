// A watch whose connection is cut at random, again and again, while writers write: the sequence is exact.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { KvsClient } from '../../client/dist/index.js';
import { startProxy, startServer } from './lib/deployment.mjs';

const CUTS = 50;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const name = (entry) => `${entry.revision} ${entry.key} ${entry.operation} ${entry.string()}`;

// Writes until told to stop: puts, deletes and transactions over several keys.
async function write(server, bucket, writer, ended) {
  const client = new KvsClient({ url: server.url, token: server.token, bucket });
  for (let n = 0; !ended(); n++) {
    const key = (part) => [`w${writer}`, String((n * 7 + part) % 400)];
    if (n % 10 === 3) await client.delete(key(0));
    else if (n % 5 === 1) {
      const operation = client.atomic();
      for (let part = 0; part < 6; part++) operation.set(key(part), `${writer}:${n}:${part}`);
      await operation.commit();
    } else await client.set(key(0), `${writer}:${n}`);
    if (n % 2 === 0) await pause(12); // the cuts are what matters, and leave others some of the machine
  }
}

describe('cut connections', () => {
  let server;
  let proxy;
  before(async () => {
    server = await startServer();
    proxy = await startProxy(server.port);
  });
  after(async () => {
    await proxy?.stop();
    assert.deepEqual(await server?.stop(), []);
  });

  for (const stream of [true, false]) {
    test(`${CUTS} cuts of ${stream ? 'a stream' : 'long polls'} while four writers write`, { timeout: 120_000 }, async () => {
      const bucket = `cuts-${stream}`;
      const options = { history: 1000 };
      const url = `http://127.0.0.1:${proxy.port}${server.path}`;
      const near = new KvsClient({ url, token: server.token, stream, retries: 20 });
      const kv = await near.kv(bucket, options);
      const watch = await kv.watch({ include: 'all_history' });
      let ended = false;
      const writers = [0, 1, 2, 3].map((writer) => write(server, bucket, writer, () => ended));
      const seen = [];
      const reading = (async () => {
        for await (const entry of watch) seen.push(entry);
      })();

      let cuts = 0;
      while (cuts < CUTS) {
        await pause(5 + Math.random() * 60);
        if (proxy.open.size > 0) cuts++;
        proxy.cut();
      }
      ended = true;
      await Promise.all(writers);

      const direct = await new KvsClient({ url: server.url, token: server.token }).kv(bucket);
      const held = [];
      for await (const entry of await direct.history()) held.push(entry);
      for (const end = Date.now() + 20_000; seen.length < held.length && Date.now() < end; ) await pause(20);
      watch.stop();
      await reading;
      near.close();

      assert.ok(held.length > 500, `${held.length} entries are enough`);
      assert.equal(new Set(seen.map(name)).size, seen.length, 'nothing came twice');
      const order = (entries) => entries.map(({ revision }) => revision);
      assert.deepEqual(order(seen), order(seen).sort((a, b) => a - b), 'revisions only grow');
      assert.deepEqual(seen.map(name).sort(), held.map(name).sort(), 'nothing is missing, nothing is invented');
    });
  }
});
