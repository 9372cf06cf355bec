// The life of a message after it was handed out: leases, nack, extend, backoff, dead letters.
import assert from 'node:assert/strict';

export const title = 'leases and dead letters';

const FAR = 600_000;
const isDead = async (s, topic) => (await s.stats(topic)).dead;
const dead = async (s, topic, more = {}) => s.ok('/queue/dead', { topic, ...more });

// Makes n dead letters; answers their ids.
async function kill(s, topic, n, more = {}) {
  const messages = Array.from({ length: n }, (_, i) => ({ topic, payload: { n: i }, maxAttempts: 1, ...more }));
  const { ids } = await s.ok('/queue/enqueue-many', { messages });
  for (const { id, lease } of await s.dequeue(topic, { limit: n })) {
    assert.deepEqual(await s.ok('/queue/nack', { id, lease }), { ok: true });
  }
  return ids;
}

function leaseCases(test) {
  test('a message whose lease ran out is handed out again, with a new lease and one more attempt', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 'x', { maxAttempts: 9 });
    const leases = new Set();
    for (let attempts = 0; attempts < 3; attempts += 1) {
      const message = await s.take(topic, { leaseMs: 50 });
      assert.deepEqual([message.id, message.attempts, message.payload], [id, attempts, 'x']);
      leases.add(message.lease);
    }
    assert.equal(leases.size, 3);
  });

  test('a lease lasts at least its time', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const before = Date.now();
    await s.take(topic, { leaseMs: 300 });
    await s.take(topic);
    assert.ok(Date.now() >= before + 300);
  });

  test('the lease is 30 s where none is given', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const before = Date.now();
    const { id, lease } = await s.take(topic);
    const { leaseUntil } = await s.ok('/queue/extend', { id, lease });
    assert.ok(leaseUntil >= before + 30_000 && leaseUntil <= Date.now() + 30_000);
  });

  test('the lease of an earlier delivery is refused by ack, nack and extend', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const { id, lease: old } = await s.take(topic, { leaseMs: 1 });
    const { lease } = await s.take(topic);
    await s.unchanged(async () => {
      for (const path of ['/queue/ack', '/queue/nack', '/queue/extend']) {
        assert.equal((await s.ok(path, { id, lease: old })).ok, false, path);
      }
    });
    assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: true });
  });

  test('an ack with the lease of the last delivery counts even when its time is over', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const { id, lease } = await s.take(topic, { leaseMs: 1 });
    await s.until('the end of the lease', async () => (await s.stats(topic)).ready === 1);
    assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: true });
    assert.deepEqual(await s.dequeue(topic), []);
  });

  test('extend keeps a message from being handed out again', async (s) => {
    const topic = s.topic();
    let id;
    let lease;
    await s.enqueue(topic, 1, { maxAttempts: 99 });
    // Extended while the first lease lasts; a machine too slow for a short one gets a longer one.
    for (let leaseMs = 250; ; leaseMs *= 2) {
      const taken = Date.now();
      ({ id, lease } = await s.take(topic, { leaseMs }));
      const before = Date.now();
      const { ok, leaseUntil } = await s.ok('/queue/extend', { id, lease, leaseMs: FAR });
      assert.equal(ok, true);
      assert.ok(leaseUntil >= before + FAR && leaseUntil <= Date.now() + FAR);
      const end = Date.now() + leaseMs;
      if (Date.now() < taken + leaseMs) {
        await s.until('the end of the first lease', () => Date.now() > end);
        break;
      }
      await s.ok('/queue/nack', { id, lease });
    }
    assert.deepEqual(await s.dequeue(topic), []);
    assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: true });
  });

  test('extend without a lease works while the message is leased', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 1);
    await s.take(topic);
    assert.equal((await s.ok('/queue/extend', { id, leaseMs: 60_000 })).ok, true);
  });

  test('extend and nack of what is gone or never was are false', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const { id, lease } = await s.take(topic);
    await s.ok('/queue/ack', { id, lease });
    for (const path of ['/queue/extend', '/queue/nack']) {
      assert.equal((await s.ok(path, { id, lease })).ok, false, path);
      assert.equal((await s.ok(path, { id: 999_999_999 })).ok, false, path);
    }
  });
}

function nackCases(test) {
  test('nack gives a message back at once, its lease is then no longer good', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 'x');
    const { id, lease } = await s.take(topic);
    assert.deepEqual(await s.ok('/queue/nack', { id, lease }), { ok: true });
    const [again] = await s.dequeue(topic);
    assert.deepEqual([again.id, again.attempts, again.payload], [id, 1, 'x']);
    assert.notEqual(again.lease, lease);
    assert.deepEqual(await s.ok('/queue/nack', { id, lease }), { ok: false });
  });

  test('nack without a lease works while the message is leased', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 1);
    await s.take(topic);
    assert.deepEqual(await s.ok('/queue/nack', { id }), { ok: true });
    assert.equal((await s.dequeue(topic)).length, 1);
  });

  test('nack with a delay gives it back after that', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const { id, lease } = await s.take(topic);
    const before = Date.now();
    await s.ok('/queue/nack', { id, lease, delay: 300 });
    const again = await s.take(topic);
    assert.ok(Date.now() >= before + 300);
    assert.ok(again.deliverAt >= before + 300);
    await s.ok('/queue/nack', { id, lease: again.lease, delay: FAR });
    assert.equal((await s.stats(topic)).delayed, 1);
    assert.deepEqual(await s.dequeue(topic), []);
  });

  test('without a delay nack waits for the backoff of that retry', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1, { maxAttempts: 9, backoff: [0, 200, FAR] });
    const nack = async ({ id, lease }) => s.ok('/queue/nack', { id, lease });
    const first = await s.take(topic);
    await nack(first);
    const [second] = await s.dequeue(topic);
    assert.equal(second.attempts, 1, 'the first retry has no delay');
    const before = Date.now();
    await nack(second);
    const third = await s.take(topic);
    assert.ok(third.deliverAt >= before + 200);
    await nack(third);
    assert.deepEqual(await s.dequeue(topic), []);
    assert.equal((await s.stats(topic)).delayed, 1, 'the third retry is far');
  });

  test('the last backoff repeats', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1, { maxAttempts: 9, backoff: [1, 150] });
    let message = await s.take(topic);
    for (let retry = 1; retry <= 4; retry += 1) {
      const before = Date.now();
      await s.ok('/queue/nack', { id: message.id, lease: message.lease });
      const later = Date.now();
      message = await s.take(topic);
      const delay = retry === 1 ? 1 : 150;
      assert.equal(message.attempts, retry);
      assert.ok(message.deliverAt >= before + delay && message.deliverAt <= later + delay, `retry ${retry}`);
    }
  });

  test('an explicit delay of nack wins over the backoff, 0 too', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1, { backoff: [FAR] });
    const { id, lease } = await s.take(topic);
    await s.ok('/queue/nack', { id, lease, delay: 0 });
    const [again] = await s.dequeue(topic);
    assert.equal(again.id, id);
    await s.ok('/queue/nack', { id, lease: again.lease, delay: null });
    assert.deepEqual(await s.dequeue(topic), []);
    assert.equal((await s.stats(topic)).delayed, 1);
  });

  test('a lease that ran out waits for the backoff too', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1, { backoff: [FAR] });
    await s.take(topic, { leaseMs: 1 });
    await s.until('the end of the lease', async () => (await s.stats(topic)).leased === 0);
    assert.equal((await s.stats(topic)).delayed, 1);
    assert.deepEqual(await s.dequeue(topic), []);
  });
}

function deathCases(test) {
  test('nack of the last attempt makes a dead letter, exactly at maxAttempts', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, { a: 1.5 }, { maxAttempts: 3 });
    for (let attempts = 0; attempts < 3; attempts += 1) {
      assert.equal(await isDead(s, topic), 0);
      const [message] = await s.dequeue(topic);
      assert.deepEqual([message.attempts, message.maxAttempts], [attempts, 3]);
      assert.deepEqual(await s.ok('/queue/nack', { id, lease: message.lease }), { ok: true });
    }
    assert.deepEqual(await s.dequeue(topic), []);
    assert.equal(await isDead(s, topic), 1);
    const { messages, cursor } = await dead(s, topic);
    assert.equal(cursor, null);
    assert.equal(messages.length, 1);
    const [letter] = messages;
    assert.deepEqual([letter.id, letter.topic, letter.attempts, letter.maxAttempts], [id, topic, 3, 3]);
    assert.deepEqual(letter.payload, { a: 1.5 });
  });

  test('a lease that runs out with no attempts left makes a dead letter, without maintenance', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 'x', { maxAttempts: 1 });
    await s.take(topic, { leaseMs: 1 });
    await s.until('the dead letter in stats', async () => (await isDead(s, topic)) === 1);
    assert.deepEqual((await dead(s, topic)).messages.map((letter) => [letter.id, letter.attempts]), [[id, 1]]);
    assert.deepEqual(await s.dequeue(topic), []);
    const { ready, delayed, leased } = await s.stats(topic);
    assert.deepEqual([ready, delayed, leased], [0, 0, 0]);
  });

  test('nack with a delay on the last attempt makes a dead letter all the same', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1, { maxAttempts: 1, backoff: [FAR] });
    const { id, lease } = await s.take(topic);
    assert.deepEqual(await s.ok('/queue/nack', { id, lease, delay: 1 }), { ok: true });
    assert.equal(await isDead(s, topic), 1);
  });

  test('ack of a dead letter is false and keeps it', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1, { maxAttempts: 1 });
    const { id, lease } = await s.take(topic);
    await s.ok('/queue/nack', { id, lease });
    await s.unchanged(async () => {
      assert.deepEqual(await s.ok('/queue/ack', { id }), { ok: false });
      assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: false });
      assert.deepEqual(await s.ok('/queue/ack-many', { acks: [{ id }] }), { ok: [false] });
      assert.equal((await s.ok('/queue/nack', { id, lease })).ok, false);
      assert.equal((await s.ok('/queue/extend', { id, lease })).ok, false);
    });
    assert.equal(await isDead(s, topic), 1);
  });

  test('a topic without dead letters answers none', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    assert.equal((await s.sent('/queue/dead', { topic })).text, '{"messages":[],"cursor":null}');
  });

  test('dead letters come in pages, each once', async (s) => {
    const topic = s.topic();
    const ids = await kill(s, topic, 7);
    const other = s.topic();
    await kill(s, other, 1);
    const seen = [];
    let cursor = null;
    do {
      const page = await dead(s, topic, { limit: 3, cursor });
      assert.ok(page.messages.length <= 3);
      seen.push(...page.messages.map(({ id }) => id));
      cursor = page.cursor;
    } while (cursor !== null);
    assert.deepEqual(seen.sort((a, b) => a - b), ids);
    await s.fails('/queue/dead', { topic, cursor: 'x' }, 400, 'bad_request', 'cursor');
  });

  test('a cursor of dead letters is good for its topic only', async (s) => {
    const [one, two] = [s.topic(), s.topic()];
    await kill(s, one, 3);
    await kill(s, two, 3);
    const { cursor } = await dead(s, one, { limit: 1 });
    await s.fails('/queue/dead', { topic: two, limit: 1, cursor }, 400, 'bad_request', 'cursor');
  });

  test('redrive gives all dead letters of a topic back, with attempts at 0', async (s) => {
    const [topic, other] = [s.topic(), s.topic()];
    const ids = await kill(s, topic, 3);
    await kill(s, other, 1);
    assert.deepEqual(await s.ok('/queue/redrive', { topic }), { ok: true, moved: 3 });
    const messages = await s.dequeue(topic, { limit: 9 });
    assert.deepEqual(messages.map(({ id }) => id).sort((a, b) => a - b), ids);
    assert.deepEqual(messages.map(({ attempts, maxAttempts }) => [attempts, maxAttempts]), Array(3).fill([0, 1]));
    assert.deepEqual([await isDead(s, topic), await isDead(s, other)], [0, 1]);
    assert.deepEqual(await s.ok('/queue/redrive', { topic }), { ok: true, moved: 0 });
  });

  test('a redriven message dies again after maxAttempts', async (s) => {
    const topic = s.topic();
    const [id] = await kill(s, topic, 1);
    await s.ok('/queue/redrive', { topic });
    const { lease } = await s.take(topic);
    await s.ok('/queue/nack', { id, lease });
    assert.equal(await isDead(s, topic), 1);
    assert.equal((await dead(s, topic)).messages[0].attempts, 1);
  });

  test('redrive and discard with ids take those and skip what is not dead', async (s) => {
    const [topic, other] = [s.topic(), s.topic()];
    const ids = await kill(s, topic, 5);
    const [foreign] = await kill(s, other, 1);
    const alive = await s.enqueue(topic, 'alive', { delay: FAR });
    const chosen = [ids[0], ids[3], alive, foreign, 999_999_999];
    assert.deepEqual(await s.ok('/queue/redrive', { topic, ids: chosen }), { ok: true, moved: 2 });
    assert.equal(await isDead(s, topic), 3);
    const again = [ids[0], ids[1], alive, foreign];
    assert.deepEqual(await s.ok('/queue/discard', { topic, ids: again }), { ok: true, moved: 1 });
    const { ready, delayed, dead: left } = await s.stats(topic);
    assert.deepEqual([ready, delayed, left], [2, 1, 2]);
    assert.equal(await isDead(s, other), 1);
  });

  test('discard drops all dead letters of a topic', async (s) => {
    const topic = s.topic();
    await kill(s, topic, 3);
    await s.enqueue(topic, 'alive');
    assert.deepEqual(await s.ok('/queue/discard', { topic }), { ok: true, moved: 3 });
    assert.deepEqual((await dead(s, topic)).messages, []);
    assert.equal((await s.stats(topic)).ready, 1);
  });

  test('redrive and discard refuse ids that are no list of integers', async (s) => {
    const topic = s.topic();
    await kill(s, topic, 1);
    await s.unchanged(async () => {
      for (const path of ['/queue/redrive', '/queue/discard']) {
        for (const ids of [['1'], [1.5], [null], [[]], [true]]) {
          await s.fails(path, { topic, ids }, 400, 'bad_request', /^ids\[0\]/);
        }
      }
    });
  });

  test('a dead letter keeps its payload byte for byte', async (s) => {
    const topic = s.topic();
    const text = '{"n":1.0,"big":123456789012345678901234567890,"s":"\\u0000\\ud800"}';
    await s.ok('/queue/enqueue', `{"topic":"${topic}","maxAttempts":1,"payload":${text}}`);
    const { id, lease } = await s.take(topic);
    await s.ok('/queue/nack', { id, lease });
    assert.equal((await s.sent('/queue/dead', { topic })).raw('messages', 0, 'payload'), text);
    await s.ok('/queue/redrive', { topic });
    assert.equal((await s.sent('/queue/dequeue', { topic })).raw('messages', 0, 'payload'), text);
  });
}

export function cases(test) {
  leaseCases(test);
  nackCases(test);
  deathCases(test);
}
