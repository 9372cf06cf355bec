// kvs.fcgi is ended and killed under a worker: every message is handled, none is lost, none is acknowledged twice.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { KvsClient } from '../../client/dist/index.js';
import { startServer } from './lib/deployment.mjs';

const MESSAGES = 300; // at least
const RESTARTS = 6;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

describe('a restarted server', () => {
  let server;
  before(async () => {
    server = await startServer();
  });
  after(async () => {
    server.deployment.expected.push(/./); // what lighttpd says of a program that was killed is its own affair
    await server?.stop();
  });

  test('a worker with concurrency 8 handles everything', { timeout: 120_000 }, async () => {
    const acked = new Map();
    const watching = async (url, init) => {
      const response = await fetch(url, init);
      if (!url.endsWith('/queue/ack')) return response;
      const text = await response.text();
      const { id } = JSON.parse(init.body);
      if (text.startsWith('{"ok":true')) acked.set(id, (acked.get(id) ?? 0) + 1);
      return new Response(text, { status: response.status, headers: response.headers });
    };
    const client = new KvsClient({ url: server.url, token: server.token, fetch: watching, timeoutMs: 5000 });
    const handled = new Map();
    const worker = client.worker('t', async ({ payload }) => {
      await pause(Math.random() * 20);
      handled.set(payload, (handled.get(payload) ?? 0) + 1);
    }, { concurrency: 8, leaseMs: 1500, waitMs: 500 });

    // An enqueue whose answer is lost is repeated; its dedupeId keeps it one message.
    let restarting = true;
    let messages = 0;
    const feed = async () => {
      while (restarting) {
        const payload = messages++;
        const options = { topic: 't', maxAttempts: 100, dedupeId: String(payload) };
        while (!(await client.enqueue(payload, options).catch(() => null)));
      }
    };
    const feeding = Promise.all([feed(), feed(), feed()]);
    for (let n = 0; n < RESTARTS; n++) {
      await pause(100 + Math.random() * 200);
      let pids = [];
      while ((pids = server.programs()).length === 0) await pause(10);
      for (const pid of pids) process.kill(pid, n % 2 ? 'SIGTERM' : 'SIGKILL');
      while (server.programs().some((pid) => pids.includes(pid))) await pause(10);
    }
    while (messages < MESSAGES) await pause(10);
    restarting = false;
    await feeding;
    for (;;) {
      const { topics } = await client.call('/queue/stats', { topic: 't' }).catch(() => ({ topics: { t: { ready: 1 } } }));
      const { ready = 0, delayed = 0, leased = 0, dead = 0 } = topics.t ?? {};
      assert.equal(dead, 0);
      if (ready + delayed + leased === 0) break;
      await pause(50);
    }
    await worker.stop();

    assert.equal(handled.size, messages, 'every message was handled');
    assert.ok([...acked.values()].every((times) => times === 1), 'none was acknowledged twice');
  });
});
