// /queue/listen, and dequeue with waitMs.
import assert from 'node:assert/strict';

import { tryStream, withStream } from '../lib/stream.mjs';

export const title = 'listen and waiting dequeue';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const listen = (s, body, act, options = {}) => withStream(s, '/queue/listen', { body, ...options }, act);

async function message(stream) {
  const object = await stream.expect('message');
  assert.deepEqual(Object.keys(object).sort(), ['message', 'type']);
  return object.message;
}

const ack = (s, { id, lease }) => s.ok('/queue/ack', { id, lease });

function waitCases(test) {
  test('dequeue waits for a message and is woken by it', async (s) => {
    const topic = s.topic();
    const started = Date.now();
    const waiting = s.dequeue(topic, { waitMs: 20_000 });
    await sleep(150);
    const id = await s.enqueue(topic, { a: 1 });
    const [found] = await waiting;
    assert.deepEqual([found.id, found.payload, found.attempts], [id, { a: 1 }, 0]);
    const took = Date.now() - started;
    assert.ok(took >= 150 && took < 10_000, `${took}`);
    assert.deepEqual(await ack(s, found), { ok: true });
  });

  test('it ends empty after waitMs, and answers at once where something is ready', async (s) => {
    const topic = s.topic();
    const started = Date.now();
    assert.deepEqual(await s.dequeue(topic, { waitMs: 300 }), []);
    assert.ok(Date.now() - started >= 290);
    await s.enqueue(topic, 1);
    assert.equal((await s.dequeue(topic, { waitMs: 25_000 })).length, 1);
    assert.ok(Date.now() - started < 10_000);
    for (const waitMs of [-1, 25_001, 'x']) {
      await s.fails('/queue/dequeue', { topic, waitMs }, 400, 'bad_request', 'waitMs');
    }
  });

  test('a delayed message and a lease that runs out wake it at their time', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1, { delay: 300 });
    const [first] = await s.dequeue(topic, { waitMs: 20_000, leaseMs: 300 });
    assert.ok(Date.now() >= first.deliverAt);
    const [second] = await s.dequeue(topic, { waitMs: 20_000 });
    assert.deepEqual([second.id, second.attempts], [first.id, 1]);
  });

  test('of two that wait, one message goes to one', async (s) => {
    const topic = s.topic();
    const waiting = [1, 2].map(() => s.dequeue(topic, { waitMs: 1500 }));
    await sleep(150);
    await s.enqueue(topic, 'only');
    const found = await Promise.all(waiting);
    assert.deepEqual(found.map(({ length }) => length).sort(), [0, 1]);
  });
}

function listenCases(test) {
  test('messages come as they become ready: those there, new ones, delayed ones', async (s) => {
    const topic = s.topic();
    const first = await s.enqueue(topic, 'there', { priority: 1 });
    await listen(s, { topic, limit: 10 }, async (stream) => {
      const got = await message(stream);
      const names = ['attempts', 'deliverAt', 'enqueuedAt', 'id', 'lease', 'maxAttempts', 'payload', 'topic'];
      for (const name of names) assert.ok(name in got, name);
      assert.deepEqual([got.id, got.payload, got.topic, got.attempts], [first, 'there', topic, 0]);
      const id = await s.enqueue(topic, 'new');
      assert.equal((await message(stream)).id, id);
      const late = await s.enqueue(topic, 'late', { delay: 300 });
      const delayed = await message(stream);
      assert.equal(delayed.id, late);
      assert.ok(Date.now() >= delayed.deliverAt);
      assert.deepEqual(await ack(s, got), { ok: true });
      assert.deepEqual(await s.ok('/queue/extend', { id: late, lease: delayed.lease, leaseMs: 60_000 }).then(({ ok }) => ok), true);
    });
  });

  test('limit bounds what is handed out and not settled; ack and nack make room', async (s) => {
    const topic = s.topic();
    for (let i = 0; i < 5; i += 1) await s.enqueue(topic, i);
    await listen(s, { topic, limit: 2 }, async (stream) => {
      const [a, b] = [await message(stream), await message(stream)];
      assert.deepEqual([a.payload, b.payload], [0, 1]);
      await sleep(200);
      assert.equal(stream.seen.filter(({ type }) => type === 'message').length, 2);
      await ack(s, a);
      assert.equal((await message(stream)).payload, 2);
      await s.ok('/queue/nack', { id: b.id, lease: b.lease, delay: 60_000 });
      assert.equal((await message(stream)).payload, 3);
      assert.equal((await s.stats(topic)).leased, 2);
    });
  });

  test('the default limit is 1, and a lease that runs out makes room and counts', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 'again');
    await listen(s, { topic, leaseMs: 300 }, async (stream) => {
      const first = await message(stream);
      const second = await message(stream);
      assert.deepEqual([second.id, first.attempts, second.attempts], [first.id, 0, 1]);
      assert.notEqual(first.lease, second.lease);
      assert.deepEqual(await ack(s, second), { ok: true });
    });
  });

  test('messages are shared out between listeners, none goes to two', async (s) => {
    const topic = s.topic();
    const streams = [];
    for (let i = 0; i < 3; i += 1) streams.push(await tryStream(s, '/queue/listen', { body: { topic, limit: 2 } }));
    const messages = Array.from({ length: 6 }, (_, payload) => ({ topic, payload }));
    const { ids } = await s.ok('/queue/enqueue-many', { messages });
    const got = await Promise.all(streams.map(async (stream) => [await message(stream), await message(stream)]));
    assert.deepEqual(got.flat().map(({ id }) => id).sort((a, b) => a - b), ids);
    for (const stream of streams) stream.close();
  });

  test('heartbeats, server-sent events and the GET form', async (s) => {
    const topic = s.topic();
    const query = { topic, limit: '1', heartbeat: '100' };
    await withStream(s, '/queue/listen', { query, events: true }, async (stream) => {
      assert.match(stream.headers['content-type'], /^text\/event-stream\b/);
      await stream.expect('heartbeat');
      await s.enqueue(topic, 'x');
      await message(stream);
      for (const [i, object] of stream.seen.entries()) assert.equal(stream.fields[i].event, object.type);
    });
    await listen(s, { topic: s.topic(), heartbeat: 100 }, async (stream) => {
      assert.match(stream.headers['content-type'], /^application\/x-ndjson\b/);
      await stream.expect('heartbeat');
      await stream.expect('heartbeat');
    });
  });

  test('a stream begins at once, though nothing is ready', async (s) => {
    const topic = s.topic();
    const started = Date.now();
    await listen(s, { topic, limit: 10, heartbeat: 15_000 }, async () => {
      const took = Date.now() - started;
      assert.ok(took < 5000, `the head came after ${took} ms`);
    });
    // Something to write, so that the server notices that the client has left.
    for (let i = 0; i < 3; i += 1) {
      await s.enqueue(topic, i);
      await sleep(100);
    }
  });

  test('bad parameters of listen', async (s) => {
    const bad = [
      [{ topic: '' }, 'topic'],
      [{ topic: 'a\u0000' }, 'topic'],
      [{ limit: 0 }, 'limit'],
      [{ limit: 1001 }, 'limit'],
      [{ leaseMs: 0 }, 'leaseMs'],
      [{ heartbeat: 99 }, 'heartbeat'],
      [{ waitMs: 1 }, 'waitMs'],
    ];
    for (const [body, field] of bad) await s.fails('/queue/listen', body, 400, 'bad_request', field);
  });

  test('republished changes come to a listener', async (s) => {
    const topic = s.topic();
    const name = `${s.space}-r`;
    await s.ok('/bucket/create', { name, options: { republish: { topic } } });
    await listen(s, { topic }, async (stream) => {
      await s.set(['a'], 1, { bucket: name });
      const { payload } = await message(stream);
      assert.deepEqual(payload, { bucket: name, entry: await s.get(['a'], { bucket: name }) });
    });
  });
}

export function cases(test) {
  waitCases(test);
  listenCases(test);
}
