// atomic: everything or nothing, under checks, in one revision.
import assert from 'node:assert/strict';

export const title = 'atomic';

const set = (key, value, more = {}) => ({ type: 'set', key, value, ...more });
const atomic = (s, body) => s.ok('/kv/atomic', body);

function checkCases(test) {
  test('a check of version null holds for a missing key only', async (s) => {
    const key = s.key('a');
    assert.equal((await atomic(s, { checks: [{ key, version: null }], mutations: [set(key, 1)] })).ok, true);
    await s.unchanged(async () => {
      const answer = await s.sent('/kv/atomic', { checks: [{ key, version: null }], mutations: [set(key, 2)] });
      assert.equal(answer.text, '{"ok":false,"failed":[0]}');
    });
    await s.ok('/kv/delete', { key });
    assert.equal((await atomic(s, { checks: [{ key, version: null }], mutations: [set(key, 3)] })).ok, true);
  });

  test('a check of version n holds for exactly that version', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    await s.set(key, 2);
    await s.unchanged(async () => {
      for (const version of [1, 3]) {
        assert.deepEqual(await atomic(s, { checks: [{ key, version }], mutations: [set(key, 9)] }), {
          ok: false,
          failed: [0],
        });
      }
      const none = { checks: [{ key: s.key('none'), version: 1 }], mutations: [set(key, 9)] };
      assert.deepEqual(await atomic(s, none), { ok: false, failed: [0] });
    });
    assert.equal((await atomic(s, { checks: [{ key, version: 2 }], mutations: [set(key, 3)] })).version, 3);
  });

  test('a check of a revision tells a re-created key from the one before', async (s) => {
    const key = s.key('a');
    const old = await s.set(key, 1);
    await s.ok('/kv/delete', { key });
    const fresh = await s.set(key, 1);
    assert.equal(fresh.version, old.version);
    await s.unchanged(async () => {
      const body = { checks: [{ key, revision: old.revision }], mutations: [set(key, 2)] };
      assert.deepEqual(await atomic(s, body), { ok: false, failed: [0] });
    });
    const body = { checks: [{ key, revision: fresh.revision }], mutations: [set(key, 2)] };
    assert.equal((await atomic(s, body)).ok, true);
  });

  test('a check of revision null holds for a missing key only', async (s) => {
    const key = s.key('a');
    const body = (value) => ({ checks: [{ key, revision: null }], mutations: [set(key, value)] });
    assert.equal((await atomic(s, body(1))).ok, true);
    assert.deepEqual(await atomic(s, body(2)), { ok: false, failed: [0] });
  });

  test('failed names every check that failed, in order', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    const checks = [
      { key, version: 2 },
      { key, version: 1 },
      { key: s.key('none'), version: 1 },
      { key: s.key('none'), version: null },
      { key, version: null },
    ];
    await s.unchanged(async () => {
      assert.deepEqual(await atomic(s, { checks, mutations: [set(key, 2)] }), { ok: false, failed: [0, 2, 4] });
    });
  });

  test('checks alone are ok and take no revision', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    await s.unchanged(async () => {
      assert.equal((await atomic(s, { checks: [{ key, version: 1 }] })).ok, true);
      assert.deepEqual(await atomic(s, { checks: [{ key, version: 2 }] }), { ok: false, failed: [0] });
    });
  });

  test('a check without version and revision is 400', async (s) => {
    await s.fails('/kv/atomic', { checks: [{ key: s.key('a') }] }, 400, 'bad_request', /^checks\[0\]/);
  });

  test('nothing to do is ok and takes no revision', async (s) => {
    await s.unchanged(async () => {
      assert.equal((await atomic(s, {})).ok, true);
      assert.equal((await atomic(s, { checks: [], mutations: [], enqueues: [], acks: [] })).ok, true);
      const none = { checks: null, mutations: null, enqueues: null, acks: null };
      assert.equal((await atomic(s, none)).ok, true);
    });
  });

  test('checks see the state before the mutations', async (s) => {
    const [a, b] = [s.key('a'), s.key('b')];
    const checks = [a, b].map((key) => ({ key, version: null }));
    assert.equal((await atomic(s, { mutations: [set(a, 1), set(b, 1)], checks })).ok, true);
  });
}

function mutationCases(test) {
  test('all keys of one request share one revision and one time', async (s) => {
    const before = await s.revision();
    const keys = [1, 2, 3].map((n) => s.key(n));
    await s.set(keys[1], 'old');
    const done = await atomic(s, { mutations: keys.map((key) => set(key, 'new')) });
    assert.deepEqual([done.revision, done.version], [before + 2, 2]);
    const { entries } = await s.ok('/kv/get-many', { keys });
    assert.deepEqual(entries.map((entry) => entry.revision), Array(3).fill(done.revision));
    assert.equal(new Set(entries.map((entry) => entry.created)).size, 1);
    assert.deepEqual(entries.map((entry) => entry.version), [1, 2, 1]);
  });

  test('version is the highest version written', async (s) => {
    for (let i = 0; i < 4; i += 1) await s.set(s.key('old'), i);
    const mutations = [set(s.key('x'), 1), set(s.key('old'), 1), set(s.key('y'), 1)];
    const done = await atomic(s, { mutations });
    assert.equal(done.version, 5);
    assert.deepEqual(done.results, [{ version: 1 }, { version: 5 }, { version: 1 }]);
  });

  test('mutations of one key apply in order and leave one entry, its last state', async (s) => {
    const key = s.key('a');
    const { revision } = await s.set(key, 0);
    const mutations = [
      set(key, 1),
      { type: 'increment', key, delta: 5 },
      { type: 'delete', key },
      set(key, 10),
      { type: 'increment', key },
      { type: 'increment', key, delta: 0.5 },
    ];
    const done = await atomic(s, { mutations });
    assert.equal(done.revision, revision + 1);
    assert.deepEqual(done.results, [
      { version: 2 },
      { version: 3, value: 6 },
      {},
      { version: 1 },
      { version: 2, value: 11 },
      { version: 3, value: 11.5 },
    ]);
    const entry = await s.get(key);
    assert.deepEqual([entry.value, entry.version, entry.revision], [11.5, 3, revision + 1]);
    assert.equal((await s.keysBelow([s.space])).length, 1);
  });

  test('a set that is deleted in the same request leaves no key', async (s) => {
    const key = s.key('a');
    const { results } = await atomic(s, { mutations: [set(key, 1), { type: 'delete', key }] });
    assert.deepEqual(results, [{ version: 1 }, {}]);
    assert.equal(await s.get(key), null);
    assert.deepEqual((await s.ok('/kv/list', { prefix: [s.space] })).entries, []);
    assert.equal((await s.set(key, 2)).version, 1);
  });

  test('touch changes expiry only, its result is the version', async (s) => {
    const key = s.key('a');
    await s.set(key, 'v');
    await s.set(key, 'v');
    const done = await atomic(s, { mutations: [{ type: 'touch', key, ttl: 600_000 }] });
    assert.deepEqual(done.results, [{ version: 2 }]);
    const entry = await s.get(key);
    assert.deepEqual([entry.value, entry.version, entry.revision], ['v', 2, done.revision]);
    assert.ok(entry.expiresAt > Date.now());
  });

  test('purge removes a key and leaves a PURGE marker', async (s) => {
    const key = s.key('a');
    await s.set(key, 'v');
    const done = await atomic(s, { mutations: [{ type: 'purge', key }] });
    assert.deepEqual(done.results, [{}]);
    const marker = await s.get(key, { markers: true });
    assert.deepEqual([marker.operation, marker.revision], ['PURGE', done.revision]);
  });

  test('a set in atomic takes ttl like any other', async (s) => {
    await atomic(s, { mutations: [set(s.key('a'), 1, { ttl: 600_000 }), set(s.key('b'), 1, { ttl: 0 })] });
    assert.ok((await s.get(s.key('a'))).expiresAt > Date.now());
    assert.ok(!('expiresAt' in (await s.get(s.key('b')))));
  });

  test('an unknown mutation type is 400', async (s) => {
    await s.unchanged(async () => {
      for (const type of ['SET', 'put', '', 'sum', 'set\u0000', 'create', 'update']) {
        const mutations = [set(s.key('a'), 1), { type, key: s.key('b'), value: 1 }];
        await s.fails('/kv/atomic', { mutations }, 400, 'bad_request', 'mutations[1].type');
      }
    });
  });

  test('a failing increment is 422 and takes the whole request with it', async (s) => {
    const topic = s.topic();
    await s.set(s.key('text'), 'x');
    await s.unchanged(async () => {
      const mutations = [set(s.key('a'), 1), { type: 'increment', key: s.key('text') }, set(s.key('b'), 1)];
      const body = { mutations, enqueues: [{ payload: 1, options: { topic } }] };
      await s.fails('/kv/atomic', body, 422, 'not_a_number', /^mutations\[1\]/);
      const after = [set(s.key('a'), 'text'), { type: 'increment', key: s.key('a') }];
      await s.fails('/kv/atomic', { mutations: after }, 422, 'not_a_number', /^mutations\[1\]/);
    });
  });

  test('1000 items in all are taken, 1001 are 413', async (s) => {
    const topic = s.topic();
    const items = (n) => ({
      checks: Array.from({ length: 100 }, (_, i) => ({ key: s.key('none', i), version: null })),
      mutations: Array.from({ length: 700 }, (_, i) => set(s.key('n', i), i)),
      enqueues: Array.from({ length: n - 800 }, (_, i) => ({ payload: i, options: { topic } })),
    });
    await s.unchanged(async () => {
      const error = await s.fails('/kv/atomic', items(1001), 413, 'too_large');
      assert.match(error.message, /1000/);
      const mutations = Array.from({ length: 1001 }, (_, i) => set(s.key('n', i), i));
      await s.fails('/kv/atomic', { mutations }, 413, 'too_large');
    });
    const done = await atomic(s, items(1000));
    assert.deepEqual([done.ok, done.results.length, done.ids.length], [true, 700, 200]);
  });
}

function queueCases(test) {
  test('enqueues commit with the mutations and answer their ids', async (s) => {
    const topic = s.topic();
    const enqueues = [
      { payload: { n: 1 }, options: { topic } },
      { payload: 2, options: { topic, priority: 5, maxAttempts: 7 } },
      { payload: 3, options: { topic, delay: 600_000 } },
    ];
    const done = await atomic(s, { mutations: [set(s.key('a'), 1)], enqueues });
    assert.equal(done.ids.length, 3);
    assert.ok(done.ids.every(Number.isInteger));
    const messages = await s.dequeue(topic, { limit: 10 });
    assert.deepEqual(messages.map(({ id }) => id), [done.ids[1], done.ids[0]]);
    assert.equal(messages[0].maxAttempts, 7);
    assert.deepEqual(messages[1].payload, { n: 1 });
    const { delayed } = await s.stats(topic);
    assert.equal(delayed, 1);
  });

  test('an enqueue without options goes to the topic default', async (s) => {
    const { ids } = await atomic(s, { enqueues: [{ payload: 'd' }, { payload: 'e', options: null }] });
    const messages = await s.dequeue('default', { limit: 1000 });
    const own = messages.filter(({ id }) => ids.includes(id));
    assert.deepEqual(own.map(({ topic, maxAttempts }) => [topic, maxAttempts]), [['default', 3], ['default', 3]]);
    await s.ok('/queue/ack-many', { acks: messages.map(({ id, lease }) => ({ id, lease })) });
  });

  test('a failed check enqueues nothing and acks nothing', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const { id, lease } = await s.take(topic);
    const checks = [{ key: s.key('none'), version: 1 }];
    await s.unchanged(async () => {
      const enqueues = [{ payload: 2, options: { topic } }];
      const answer = await atomic(s, { checks, enqueues, acks: [{ id, lease }] });
      assert.deepEqual(answer, { ok: false, failed: [0] });
    });
    assert.equal((await s.ok('/queue/ack', { id, lease })).ok, true);
  });

  test('an ack commits with the results of its message', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const { id, lease } = await s.take(topic);
    const done = await atomic(s, { mutations: [set(s.key('result'), 1)], acks: [{ id, lease }] });
    assert.equal(done.ok, true);
    assert.equal((await s.ok('/queue/ack', { id, lease })).ok, false);
    const { ready, leased } = await s.stats(topic);
    assert.deepEqual([ready, leased], [0, 0]);
  });

  test('a stale lease fails the whole request with 409 and names the ack', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    await s.enqueue(topic, 2);
    const [one, two] = await s.dequeue(topic, { limit: 2 });
    const acks = [one, { id: two.id, lease: 'stale' }].map(({ id, lease }) => ({ id, lease }));
    await s.unchanged(async () => {
      const body = { mutations: [set(s.key('a'), 1)], enqueues: [{ payload: 3, options: { topic } }], acks };
      await s.fails('/kv/atomic', body, 409, 'conflict', /^acks\[1\]/);
      const gone = { mutations: [set(s.key('a'), 1)], acks: [{ id: 999_999_999, lease: one.lease }] };
      await s.fails('/kv/atomic', gone, 409, 'conflict', /^acks\[0\]/);
      const swapped = { acks: [{ id: one.id, lease: two.lease }] };
      await s.fails('/kv/atomic', swapped, 409, 'conflict', /^acks\[0\]/);
    });
    assert.deepEqual(await s.ok('/queue/ack-many', { acks: [one, two].map(({ id, lease }) => ({ id, lease })) }), {
      ok: [true, true],
    });
  });

  test('an ack after the message was handed out again is stale', async (s) => {
    const topic = s.topic();
    await s.enqueue(topic, 1);
    const first = await s.take(topic, { leaseMs: 1 });
    const second = await s.take(topic);
    assert.equal(second.id, first.id);
    await s.unchanged(async () => {
      const body = { mutations: [set(s.key('a'), 1)], acks: [{ id: first.id, lease: first.lease }] };
      await s.fails('/kv/atomic', body, 409, 'conflict', /^acks\[0\]/);
    });
    assert.equal((await atomic(s, { acks: [{ id: second.id, lease: second.lease }] })).ok, true);
  });

  test('checks are judged before leases and before 422', async (s) => {
    await s.set(s.key('text'), 'x');
    const checks = [{ key: s.key('none'), version: 1 }];
    const acks = [{ id: 999_999_999, lease: 'none' }];
    const mutations = [{ type: 'increment', key: s.key('text') }];
    await s.unchanged(async () => {
      assert.deepEqual(await atomic(s, { checks, mutations, acks }), { ok: false, failed: [0] });
    });
  });

  test('syntax and limits are judged before checks', async (s) => {
    const checks = [{ key: s.key('none'), version: 1 }];
    await s.unchanged(async () => {
      const bad = { checks, mutations: [set([null], 1)] };
      await s.fails('/kv/atomic', bad, 400, 'bad_request', /^mutations\[0\]\.key/);
      const large = { checks, mutations: [set(s.key('a'), 'x'.repeat(1024 * 1024))] };
      await s.fails('/kv/atomic', large, 413, 'too_large', 'mutations[0].value');
      const payload = { checks, enqueues: [{ payload: 'x'.repeat(1024 * 1024) }] };
      await s.fails('/kv/atomic', payload, 413, 'too_large', 'enqueues[0].payload');
    });
  });

  test('a dedupeId in an enqueue answers the first id', async (s) => {
    const topic = s.topic();
    const enqueue = (payload) => ({ payload, options: { topic, dedupeId: 'once' } });
    const one = await atomic(s, { enqueues: [enqueue(1), enqueue(2)] });
    const two = await atomic(s, { enqueues: [enqueue(3)] });
    assert.deepEqual([one.ids[1], two.ids[0]], [one.ids[0], one.ids[0]]);
    assert.deepEqual((await s.dequeue(topic, { limit: 9 })).map(({ payload }) => payload), [1]);
  });
}

export function cases(test) {
  checkCases(test);
  mutationCases(test);
  queueCases(test);
}
