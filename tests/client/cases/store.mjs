export const title = 'keys and values';

export function cases(test) {
  test('set, get, delete as they ever were', async (t) => {
    const key = t.key('a');
    t.equal(await t.client.get(key), null);
    const first = await t.client.set(key, { n: 1 });
    t.equal([first.ok, first.version], [true, 1]);
    t.equal((await t.client.set(key, { n: 2 })).version, 2);
    const entry = await t.client.get(key);
    t.equal([entry.key, entry.value, entry.version], [key, { n: 2 }, 2]);
    t.ok(entry.revision > first.revision && Math.abs(entry.created - Date.now()) < 60_000);
    t.equal((await t.client.delete(key)).ok, true);
    t.equal((await t.client.delete(key)).ok, true);
    t.equal(await t.client.get(key), null);
    t.equal((await t.client.set(key, 3)).version, 1);
  });

  test('ttl: an entry is gone when its time is over', async (t) => {
    await t.client.set(t.key('a'), 1, { ttl: 80 });
    t.ok((await t.client.get(t.key('a'))).expiresAt > Date.now() - 1000);
    await t.until(async () => (await t.client.get(t.key('a'))) === null, 3000);
  });

  test('keys of every type of part come back as they were', async (t) => {
    const key = t.key('', 'ü\0', 1.5, -0.25, true, false, 2n ** 80n, -1n, Uint8Array.of(0, 255));
    await t.client.set(key, 1);
    t.equal((await t.client.get(key)).key, key);
    const { entries } = await t.client.list({ prefix: key.slice(0, 4) });
    t.equal(entries.map((entry) => entry.key), [key]);
  });

  test('bytes and JSON come back as what they were', async (t) => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => (at * 31) & 255);
    for (const value of [bytes, Uint8Array.of(), null, false, '', 'ü\0\ud83d\ude00', [], { a: [{}] }, -1.5e-7]) {
      await t.client.set(t.key('v'), value);
      t.equal((await t.client.get(t.key('v'))).value, value);
    }
  });

  test('integers beyond 2^53 survive where that is asked for', async (t) => {
    const value = { n: 123456789012345678901234567890n, small: 5 };
    await t.client.set(t.key('n'), value);
    t.equal((await t.client.get(t.key('n'), { bigint: true })).value, value);
    t.equal((await t.connect({ bigint: true }).get(t.key('n'))).value, value);
    t.equal((await t.client.get(t.key('n'))).value.n, 123456789012345678901234567890);
  });

  test('raw values go and come to the letter', async (t) => {
    const text = '[1.0,1E5,"\\u0000\\ud800",{"a":1,"a":2}]';
    await t.client.set(t.key('r'), new t.kvs.JsonText(text));
    t.equal((await t.client.get(t.key('r'), { raw: true })).value.text, text);
    t.equal((await t.client.list({ prefix: t.key() }, { raw: true })).entries[0].value.text, text);
  });

  test('list: pages, cursors, ranges, both directions', async (t) => {
    for (let n = 0; n < 7; n++) await t.client.set(t.key('l', n), n);
    const values = ({ entries }) => entries.map(({ value }) => value);
    const prefix = t.key('l');
    const first = await t.client.list({ prefix }, { limit: 3 });
    t.equal(values(first), [0, 1, 2]);
    const second = await t.client.list({ prefix }, { limit: 10, cursor: first.cursor });
    t.equal([values(second), second.cursor], [[3, 4, 5, 6], null]);
    t.equal(values(await t.client.list({ prefix }, { reverse: true, limit: 2 })), [6, 5]);
    t.equal(values(await t.client.list({ start: t.key('l', 2), end: t.key('l', 4) })), [2, 3]);
    t.equal(values(await t.client.list({ prefix: t.key('none') })), []);
  });

  test('list as an iteration gives every entry, or as many as were asked for', async (t) => {
    const many = t.client.atomic();
    for (let n = 0; n < 620; n++) many.set(t.key('l', n), n);
    t.equal((await many.commit()).ok, true);
    let expected = 0;
    for await (const { value } of t.client.list({ prefix: t.key('l') })) t.equal(value, expected++);
    t.equal(expected, 620);
    const some = [];
    for await (const { value } of t.client.list({ prefix: t.key('l') }, { limit: 3, reverse: true })) some.push(value);
    t.equal(some, [619, 618, 617]);
  });

  test('getMany answers in order, null where missing', async (t) => {
    await t.client.set(t.key('a'), 1);
    const [a, none] = await t.client.getMany([t.key('a'), t.key('b')]);
    t.equal([a.value, none], [1, null]);
  });

  test('create, update and delete with a check', async (t) => {
    const key = t.key('a');
    const { revision } = await t.client.create(key, 1);
    await t.fails(t.client.create(key, 2), { code: 'conflict', status: 409, revision, version: 1 });
    const second = await t.client.update(key, 2, { revision });
    await t.fails(t.client.update(key, 3, { revision }), { code: 'conflict', revision: second.revision });
    await t.client.update(key, 3, { version: 2 });
    await t.fails(t.client.delete(key, { version: 2 }), { code: 'conflict', version: 3 });
    t.equal((await t.client.delete(key, { version: 3 })).deleted, true);
    await t.fails(t.client.update(key, 4, { version: 3 }), { code: 'conflict', revision: null, version: null });
  });

  test('atomic: everything or nothing', async (t) => {
    const { client } = t;
    const [a, b] = [t.key('a'), t.key('b')];
    const made = await client.atomic().check({ key: a, version: null }).set(a, 1).set(b, 2, { ttl: 60_000 })
      .enqueue({ job: 1 }, { topic: t.topic }).commit();
    t.equal([made.ok, made.version], [true, 1]);
    const refused = await client.atomic().check({ key: b, version: 1 }, { key: a, version: null }).delete(b).commit();
    t.equal([refused.ok, refused.failed], [false, [1]]);
    const entry = await client.get(a);
    const changed = await client.atomic().check(entry).delete(b).increment(a, 41).commit();
    t.equal([changed.ok, changed.results[1].value], [true, 42]);
    t.equal((await client.getMany([a, b])).map((one) => one?.value ?? null), [42, null]);
    const [message] = await client.dequeue(t.topic);
    t.equal(message.payload, { job: 1 });
    const done = client.atomic().acknowledge(message.id).set(b, 'done');
    t.equal((await done.commit()).ok, true);
    t.equal(await client.acknowledge(message.id, { lease: message.lease }), false);
  });

  test('increment and counter are exact', async (t) => {
    const counter = t.client.counter(t.key('n'));
    t.equal(await counter.get(), 0);
    const all = await Promise.all(Array.from({ length: 20 }, () => counter.increment()));
    t.equal(all.sort((x, y) => x - y), Array.from({ length: 20 }, (_, n) => n + 1));
    t.equal(await counter.add(-0.5), 19.5);
    await counter.reset();
    const big = await t.client.increment(t.key('n'), 9007199254740993n, { bigint: true });
    t.equal(big.value, 9007199254740993n);
    await t.fails(counter.get(), { message: /2\^53/ });
    await t.client.set(t.key('s'), 'text');
    await t.fails(t.client.increment(t.key('s')), { code: 'not_a_number', status: 422 });
  });

  test('getAsync computes once', async (t) => {
    let runs = 0;
    const compute = async () => ({ run: ++runs });
    const other = t.connect();
    const values = await Promise.all([t.client, other, t.client].map((c) => c.getAsync(t.key('c'), compute, 60_000)));
    t.equal([...values, await other.getAsync(t.key('c'), compute)], Array(4).fill({ run: 1 }));
  });

  test('conditionalUpdate: writers at once lose nothing', async (t) => {
    const add = (client) => client.conditionalUpdate(t.key('n'), (n) => (n ?? 0) + 1, { retries: 500 });
    await Promise.all(Array.from({ length: 12 }, () => add(t.connect())));
    t.equal((await t.client.get(t.key('n'))).value, 12);
  });

  test('errors name the field; a wrong token is refused', async (t) => {
    await t.fails(t.client.set([], 1), { code: 'bad_request', status: 400, field: 'key' });
    await t.fails(t.connect({ token: 'wrong' }).get(t.key('a')), { name: 'KvsError', code: 'unauthorized', status: 401 });
    await t.fails(t.client.call('/kv/nothing', {}), { code: 'not_found', status: 404 });
    await t.fails(t.client.set(t.key('a'), undefined), { name: 'TypeError' });
  });

  test('an aborted call fails with the reason', async (t) => {
    const abort = new AbortController();
    abort.abort(new Error('enough'));
    await t.fails(t.client.get(t.key('a'), { signal: abort.signal }), { message: 'enough' });
  });

  test('health, open, cleanExpired', async (t) => {
    const { ok, uptime } = await t.client.health();
    t.equal([ok, typeof uptime], [true, 'number']);
    await t.client.open();
    const { ok: cleaned, deleted } = await t.client.cleanExpired();
    t.equal([cleaned, typeof deleted], [true, 'number']);
  });
}
