export const title = 'queue';

export function cases(test) {
  test('enqueue, dequeue, acknowledge as they ever were', async (t) => {
    const { ok, id } = await t.client.enqueue({ n: 1 }, { topic: t.topic });
    t.equal([ok, typeof id], [true, 'number']);
    const [message, none] = await t.client.dequeue(t.topic, 5);
    t.equal([message.id, message.topic, message.payload, message.attempts, message.maxAttempts, none],
      [id, t.topic, { n: 1 }, 0, 3, undefined]);
    t.ok(message.deliverAt >= message.enqueuedAt);
    t.equal(await t.client.acknowledge(id), true);
    t.equal(await t.client.acknowledge(id), false);
    t.equal(await t.client.dequeue(t.topic), []);
  });

  test('delay, priority, dedupeId, many at once', async (t) => {
    const { client, topic } = t;
    await client.enqueue('later', { topic, delay: 60_000 });
    const ids = await client.enqueueMany([{ payload: 'low', topic }, { payload: 'high', topic, priority: 5 }]);
    const one = await client.enqueue('once', { topic, dedupeId: 'x' });
    t.equal((await client.enqueue('twice', { topic, dedupeId: 'x' })).id, one.id);
    const got = await client.dequeue(topic, 10);
    t.equal(got.map(({ payload }) => payload), ['high', 'low', 'once']);
    t.equal(await client.acknowledgeMany([...ids, one.id, 999_999_999]), [true, true, true, false]);
  });

  test('a lease that was lost cannot acknowledge', async (t) => {
    const { client, topic } = t;
    await client.enqueue('job', { topic });
    const [first] = await client.dequeue(topic, 1, { leaseMs: 1 });
    const other = t.connect();
    let second;
    await t.until(async () => ([second] = await other.dequeue(topic)).length > 0);
    t.equal([second.id, second.attempts], [first.id, 1]);
    t.equal(await client.acknowledge(first.id), false);
    t.equal((await other.extend(second.id, { leaseMs: 60_000 })).ok, true);
    t.equal(await other.acknowledge(second.id), true);
  });

  test('nack gives a message back; what is used up is a dead letter', async (t) => {
    const { client, topic } = t;
    await client.enqueue('job', { topic, maxAttempts: 2 });
    for (const attempts of [0, 1]) {
      const [message] = await client.dequeue(topic);
      t.equal(message.attempts, attempts);
      t.equal(await client.nack(message.id), true);
    }
    t.equal(await client.dequeue(topic), []);
    const { messages } = await client.call('/queue/dead', { topic });
    t.equal(messages.map(({ payload }) => payload), ['job']);
  });

  test('a worker handles everything, tries again what fails, and stops', async (t) => {
    const { client, topic } = t;
    const ids = await client.enqueueMany(Array.from({ length: 60 }, (_, n) => ({ payload: n, topic, maxAttempts: 9 })));
    const tries = new Map();
    const worker = client.worker(topic, ({ payload }) => {
      const n = (tries.get(payload) ?? 0) + 1;
      tries.set(payload, n);
      if (payload % 10 === 0 && n === 1) throw new Error('not yet');
    }, { concurrency: 8, waitMs: 200 });
    await t.until(async () => {
      const { topics } = await client.call('/queue/stats', { topic });
      const { ready = 0, delayed = 0, leased = 0 } = topics[topic] ?? {};
      return ready + delayed + leased === 0;
    });
    await worker.stop();
    t.equal(tries.size, ids.length);
    t.ok([...tries].every(([payload, n]) => n === (payload % 10 === 0 ? 2 : 1)), 'as many tries as were needed');
  });

  test('a worker keeps the lease of a long job', async (t) => {
    const { client, topic } = t;
    await client.enqueue('long', { topic });
    let runs = 0;
    const worker = client.worker(topic, async () => {
      runs++;
      await t.pause(900);
    }, { leaseMs: 300, waitMs: 100, concurrency: 2 });
    await t.until(() => runs > 0);
    await worker.stop();
    t.equal(runs, 1);
    t.equal(await client.dequeue(topic), []);
  });
}
