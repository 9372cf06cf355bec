// Queue: enqueue, dequeue, ack; order, delay, priority, deduplication, the -many forms, stats, purge.
import assert from 'node:assert/strict';

export const title = 'queue';

const FAR = 600_000;
const payloads = (messages) => messages.map(({ payload }) => payload);
const settle = (messages) => messages.map(({ id, lease }) => ({ id, lease }));

function deliveryCases(test) {
  test('enqueue answers an id, dequeue hands the message out with all its fields', async (s) => {
    const topic = s.topic();
    const before = Date.now();
    const sent = await s.ok('/queue/enqueue', { topic, payload: { x: [1, null] } });
    const later = Date.now();
    assert.equal(sent.ok, true);
    assert.ok(Number.isInteger(sent.id));
    assert.ok(!sent.duplicate);
    const [message] = await s.dequeue(topic);
    const { enqueuedAt, deliverAt, lease, ...rest } = message;
    assert.deepEqual(rest, { id: sent.id, topic, payload: { x: [1, null] }, attempts: 0, maxAttempts: 3 });
    assert.ok(enqueuedAt >= before && enqueuedAt <= later);
    assert.ok(deliverAt >= before && deliverAt <= later);
    assert.ok(typeof lease === 'string' && lease.length > 0);
  });

  test('the topic is default where none is given', async (s) => {
    const { id } = await s.ok('/queue/enqueue', { payload: s.space });
    const { messages } = await s.ok('/queue/dequeue', { limit: 1000 });
    const own = messages.find((message) => message.id === id);
    assert.deepEqual([own.topic, own.payload], ['default', s.space]);
    await s.ok('/queue/ack-many', { acks: settle(messages) });
  });

  test('an empty topic hands out nothing', async (s) => {
    assert.equal((await s.sent('/queue/dequeue', { topic: s.topic() })).text, '{"messages":[]}');
  });

  test('a null payload is a payload', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, null);
    const [message] = await s.dequeue(topic);
    assert.ok('payload' in message && message.payload === null);
  });

  test('a message that is handed out is not handed out again while its lease lasts', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    assert.equal((await s.dequeue(topic)).length, 1);
    assert.deepEqual(await s.dequeue(topic), []);
  });

  test('topics are kept apart', async (s) => {
    const [one, two] = [s.topic(), s.topic()];
    await s.enqueue(one, 1);
    assert.deepEqual(await s.dequeue(two), []);
    assert.equal((await s.dequeue(one)).length, 1);
  });

  test('dequeue hands out one message, or up to limit', async (s) => {
    const topic = s.topic();
    for (let i = 0; i < 6; i += 1) await s.enqueue(topic, i);
    assert.deepEqual(payloads(await s.dequeue(topic)), [0]);
    assert.deepEqual(payloads(await s.dequeue(topic, { limit: 3 })), [1, 2, 3]);
    const rest = await s.dequeue(topic, { limit: 1000 });
    assert.deepEqual(payloads(rest), [4, 5]);
    assert.notEqual(rest[0].lease, rest[1].lease);
  });

  test('a topic of 256 bytes of UTF-8 is taken, of 257 it is not', async (s) => {
    const base = s.topic();
    const topic = (n) => base + 'é'.repeat((n - base.length) >> 1) + 'x'.repeat((n - base.length) & 1);
    assert.equal(Buffer.byteLength(topic(256)), 256);
    await s.enqueue(topic(256), 'wide');
    assert.deepEqual(payloads(await s.dequeue(topic(256))), ['wide']);
    await s.unchanged(async () => {
      await s.fails('/queue/enqueue', { topic: topic(257), payload: 1 }, 400, 'bad_request', 'topic');
      await s.fails('/queue/dequeue', { topic: topic(257) }, 400, 'bad_request', 'topic');
    });
  });

  test('a payload of 1 MiB is taken, one byte more is 413', async (s) => {
    const topic = s.topic();
    const text = (n) => 'p'.repeat(n - 2);
    await s.enqueue(topic, text(1024 * 1024));
    assert.equal((await s.take(topic)).payload.length, 1024 * 1024 - 2);
    await s.unchanged(async () => {
      const body = { topic, payload: text(1024 * 1024 + 1) };
      const error = await s.fails('/queue/enqueue', body, 413, 'too_large', 'payload');
      assert.match(error.message, /1048576|1 MiB/);
      const messages = [{ topic, payload: 1 }, body];
      await s.fails('/queue/enqueue-many', { messages }, 413, 'too_large', 'messages[1].payload');
    });
  });
}

function ackCases(test) {
  test('ack with its lease settles a message for good', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const { id, lease } = await s.take(topic, { leaseMs: 1 });
    assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: true });
    assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: false });
    await s.until('a moment behind the lease', () => new Promise((resolve) => setTimeout(resolve, 20, true)));
    assert.deepEqual(await s.dequeue(topic), []);
  });

  test('ack without a lease works while the message is leased', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 1);
    await s.take(topic);
    assert.deepEqual(await s.ok('/queue/ack', { id }), { ok: true });
    assert.deepEqual(await s.ok('/queue/ack', { id, lease: null }), { ok: false });
  });

  test('ack without a lease works while the message is pending, delayed ones too', async (s) => {
    const topic = s.topic();
    const ready = await s.enqueue(topic, 1);
    const delayed = await s.enqueue(topic, 2, { delay: FAR });
    for (const id of [ready, delayed]) assert.deepEqual(await s.ok('/queue/ack', { id }), { ok: true });
    const { ready: left, delayed: later } = await s.stats(topic);
    assert.deepEqual([left, later], [0, 0]);
  });

  test('ack with another lease is false and leaves the message leased', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    await s.enqueue(topic, 2);
    const [one, two] = await s.dequeue(topic, { limit: 2 });
    await s.unchanged(async () => {
      for (const lease of [two.lease, '', 'x', `${one.lease}x`, one.lease.slice(0, -1), one.lease.toUpperCase() + '!']) {
        assert.deepEqual(await s.ok('/queue/ack', { id: one.id, lease }), { ok: false }, lease);
      }
    });
    assert.deepEqual(await s.ok('/queue/ack', { id: one.id, lease: one.lease }), { ok: true });
  });

  test('ack of an id that never was is false', async (s) => {
    assert.deepEqual(await s.ok('/queue/ack', { id: 999_999_999 }), { ok: false });
    assert.deepEqual(await s.ok('/queue/ack', { id: 999_999_999, lease: 'x' }), { ok: false });
  });

  test('an id may be written as any integer', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 1);
    assert.deepEqual(await s.ok('/queue/ack', `{"id":${id}.0}`), { ok: true });
    const next = await s.enqueue(topic, 1);
    assert.deepEqual(await s.ok('/queue/ack', `{"id":${next}0e-1}`), { ok: true });
  });
}

function orderCases(test) {
  test('higher priority first, then deliverAt, then id', async (s) => {
    const topic = s.topic();
    const send = (payload, more) => s.enqueue(topic, payload, more);
    await send('lowest', { priority: -2_000_000_000 });
    await send('low', { priority: -1 });
    await send('first');
    await send('second', { priority: 0 });
    await send('high', { priority: 10 });
    await send('high too', { priority: 10 });
    await send('higher', { priority: 11 });
    await send('highest', { priority: 2_000_000_000 });
    const seen = payloads(await s.dequeue(topic, { limit: 10 }));
    assert.deepEqual(seen, ['highest', 'higher', 'high', 'high too', 'first', 'second', 'low', 'lowest']);
  });

  test('of one priority the earlier deliverAt comes first, whatever the ids', async (s) => {
    const topic = s.topic();
    const late = await s.enqueue(topic, 'late', { delay: 400 });
    const soon = await s.enqueue(topic, 'soon', { delay: 1 });
    assert.ok(late < soon);
    await s.until('both to be ready', async () => (await s.stats(topic)).ready === 2);
    assert.deepEqual(payloads(await s.dequeue(topic, { limit: 2 })), ['soon', 'late']);
  });

  test('of one enqueue-many the order is that of the list', async (s) => {
    const topic = s.topic();
    const messages = Array.from({ length: 50 }, (_, payload) => ({ topic, payload }));
    await s.ok('/queue/enqueue-many', { messages });
    const seen = payloads(await s.dequeue(topic, { limit: 50 }));
    assert.deepEqual(seen, messages.map(({ payload }) => payload));
  });

  test('a delayed message is handed out at its time, not before', async (s) => {
    const topic = s.topic();
    const before = Date.now();
    await s.enqueue(topic, 1, { delay: 300 });
    const later = Date.now();
    const { delayed, ready } = await s.stats(topic);
    assert.equal(delayed + ready, 1);
    const message = await s.take(topic);
    assert.ok(Date.now() >= before + 300);
    assert.ok(message.deliverAt >= before + 300 && message.deliverAt <= later + 300);
    assert.ok(message.enqueuedAt >= before && message.enqueuedAt <= later);
  });

  test('a message with a long delay does not block those behind it', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 'far', { delay: FAR, priority: 9 });
    await s.enqueue(topic, 'near');
    assert.deepEqual(payloads(await s.dequeue(topic, { limit: 9 })), ['near']);
  });
}

function dedupeCases(test) {
  test('a second message with the same topic and dedupeId answers the id of the first', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 'first', { dedupeId: 'd' });
    const again = await s.ok('/queue/enqueue', { topic, payload: 'second', dedupeId: 'd', delay: FAR });
    assert.deepEqual(again, { ok: true, id, duplicate: true });
    assert.equal((await s.stats(topic)).ready, 1);
    assert.deepEqual(payloads(await s.dequeue(topic, { limit: 9 })), ['first']);
  });

  test('it does so while the message is leased, delayed, and for a time after it is gone', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 1, { dedupeId: 'd' });
    const again = () => s.ok('/queue/enqueue', { topic, payload: 2, dedupeId: 'd' });
    const { lease } = await s.take(topic);
    assert.deepEqual(await again(), { ok: true, id, duplicate: true });
    await s.ok('/queue/ack', { id, lease });
    assert.deepEqual(await again(), { ok: true, id, duplicate: true });
    assert.deepEqual(await s.dequeue(topic), []);
    const later = await s.enqueue(topic, 1, { dedupeId: 'e', delay: FAR });
    assert.equal((await s.ok('/queue/enqueue', { topic, payload: 2, dedupeId: 'e' })).id, later);
  });

  test('another topic, another dedupeId and none at all are no duplicates', async (s) => {
    const [one, two] = [s.topic(), s.topic()];
    const ids = [
      await s.enqueue(one, 1, { dedupeId: 'd' }),
      await s.enqueue(two, 1, { dedupeId: 'd' }),
      await s.enqueue(one, 1, { dedupeId: 'D' }),
      await s.enqueue(one, 1, { dedupeId: 'd ' }),
      await s.enqueue(one, 1, { dedupeId: null }),
      await s.enqueue(one, 1),
    ];
    assert.equal(new Set(ids).size, ids.length);
  });
}

function manyCases(test) {
  test('enqueue-many answers one id a message, each message with its own options', async (s) => {
    const [one, two] = [s.topic(), s.topic()];
    const { ids, ...more } = await s.ok('/queue/enqueue-many', {
      messages: [
        { topic: one, payload: 'a' },
        { topic: two, payload: 'b', maxAttempts: 9 },
        { topic: one, payload: 'c', priority: 1 },
        { topic: one, payload: 'd', delay: FAR },
        { topic: one, payload: 'e', dedupeId: 'x' },
        { topic: one, payload: 'f', dedupeId: 'x' },
      ],
    });
    assert.deepEqual(more, {});
    assert.equal(ids.length, 6);
    assert.equal(ids[5], ids[4]);
    assert.equal(new Set(ids).size, 5);
    const messages = await s.dequeue(one, { limit: 9 });
    assert.deepEqual(messages.map(({ id, payload }) => [id, payload]), [
      [ids[2], 'c'],
      [ids[0], 'a'],
      [ids[4], 'e'],
    ]);
    assert.equal((await s.dequeue(two))[0].maxAttempts, 9);
  });

  test('enqueue-many with one bad message enqueues none', async (s) => {
    const topic = s.topic();
    await s.unchanged(async () => {
      const messages = [{ topic, payload: 1 }, { topic, payload: 2 }, { topic: '', payload: 3 }];
      await s.fails('/queue/enqueue-many', { messages }, 400, 'bad_request', 'messages[2].topic');
    });
  });

  test('1000 messages are taken at once, 1001 are 413, and so with acks', async (s) => {
    const topic = s.topic();
    const messages = Array.from({ length: 1001 }, (_, payload) => ({ topic, payload }));
    await s.unchanged(async () => {
      const error = await s.fails('/queue/enqueue-many', { messages }, 413, 'too_large', 'messages');
      assert.match(error.message, /1000/);
    });
    assert.equal((await s.ok('/queue/enqueue-many', { messages: messages.slice(1) })).ids.length, 1000);
    const all = await s.dequeue(topic, { limit: 1000 });
    assert.equal(all.length, 1000);
    const acks = settle(all);
    await s.unchanged(() => s.fails('/queue/ack-many', { acks: [...acks, acks[0]] }, 413, 'too_large', 'acks'));
    assert.deepEqual(await s.ok('/queue/ack-many', { acks }), { ok: Array(1000).fill(true) });
  });

  test('ack-many answers for each: false for an unknown id, a stale lease and a second time', async (s) => {
    const topic = s.topic();
    for (let i = 0; i < 3; i += 1) await s.enqueue(topic, i);
    const [a, b, c] = await s.dequeue(topic, { limit: 3 });
    const acks = [
      { id: a.id, lease: a.lease },
      { id: 999_999_999 },
      { id: b.id, lease: a.lease },
      { id: a.id, lease: a.lease },
      { id: c.id },
    ];
    assert.deepEqual(await s.ok('/queue/ack-many', { acks }), { ok: [true, false, false, false, true] });
    assert.deepEqual(await s.ok('/queue/ack', { id: b.id, lease: b.lease }), { ok: true });
  });
}

function statsCases(test) {
  test('stats count ready, delayed, leased and dead messages of a topic', async (s) => {
    const topic = s.topic();
    for (let i = 0; i < 4; i += 1) await s.enqueue(topic, i);
    await s.enqueue(topic, 'later', { delay: FAR });
    await s.enqueue(topic, 'dying', { maxAttempts: 1, priority: 5 });
    const { id, lease } = await s.take(topic);
    await s.ok('/queue/nack', { id, lease });
    await s.take(topic);
    const { ready, delayed, leased, dead, oldestReadyMs } = await s.stats(topic);
    assert.deepEqual({ ready, delayed, leased, dead }, { ready: 3, delayed: 1, leased: 1, dead: 1 });
    assert.ok(Number.isInteger(oldestReadyMs), `${oldestReadyMs}`);
  });

  test('stats of one topic name that topic only, without topic they name all', async (s) => {
    const [one, two] = [s.topic(), s.topic()];
    await s.enqueue(one, 1);
    await s.enqueue(two, 1);
    assert.deepEqual(Object.keys((await s.ok('/queue/stats', { topic: one })).topics), [one]);
    const { topics } = await s.ok('/queue/stats', {});
    assert.deepEqual([topics[one].ready, topics[two].ready], [1, 1]);
    assert.deepEqual(Object.keys(topics[one]).sort(), ['dead', 'delayed', 'leased', 'oldestReadyMs', 'ready']);
  });

  test('a lease that is over counts as ready', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    await s.take(topic, { leaseMs: 1 });
    await s.until('the end of the lease', async () => (await s.stats(topic)).leased === 0);
    assert.equal((await s.stats(topic)).ready, 1);
  });

  test('purge drops the messages of one topic, ready, delayed and leased', async (s) => {
    const [one, two] = [s.topic(), s.topic()];
    await s.enqueue(one, 1);
    await s.enqueue(one, 2);
    await s.enqueue(one, 3, { delay: FAR });
    await s.enqueue(two, 4);
    const { id, lease } = await s.take(one);
    assert.deepEqual(await s.ok('/queue/purge', { topic: one }), { ok: true, purged: 3 });
    assert.deepEqual(await s.dequeue(one), []);
    assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: false });
    assert.deepEqual(await s.ok('/queue/purge', { topic: one }), { ok: true, purged: 0 });
    assert.equal((await s.stats(two)).ready, 1);
  });
}

export function cases(test) {
  deliveryCases(test);
  ackCases(test);
  orderCases(test);
  dedupeCases(test);
  manyCases(test);
  statsCases(test);
}
