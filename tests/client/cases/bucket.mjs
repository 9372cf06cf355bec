export const title = 'buckets';

const text = (entry) => `${entry.key}@${entry.revision}${entry.operation === 'PUT' ? '' : entry.operation}`;

async function all(iterator) {
  const items = [];
  for await (const item of iterator) items.push(item);
  return items;
}

export function cases(test) {
  test('put, get: entries with all their fields', async (t) => {
    const kv = await t.bucket({ history: 3 });
    t.equal(await kv.get('a.b'), null);
    const revision = await kv.put('a.b', 'hällo');
    const entry = await kv.get('a.b');
    t.equal([entry.bucket, entry.key, entry.rawKey, entry.string(), entry.revision, entry.sequence, entry.operation],
      [t.space, 'a.b', 'a.b', 'hällo', revision, revision, 'PUT']);
    t.equal([entry.value, entry.length, entry.delta], [new TextEncoder().encode('hällo'), 6, 0]);
    t.ok(entry.created instanceof Date && Math.abs(entry.created.getTime() - Date.now()) < 60_000);
    await kv.put('a.b', Uint8Array.of(0, 255));
    t.equal((await kv.get('a.b')).value, Uint8Array.of(0, 255));
    t.equal((await kv.get('a.b', { revision })).string(), 'hällo');
    await kv.put('j', JSON.stringify({ a: [1] }));
    t.equal((await kv.get('j')).json(), { a: [1] });
    t.equal((await kv.get('j')).json((key, value) => (value === 1 ? 2 : value)), { a: [2] });
  });

  test('revisions count from 1 in each bucket; deletes take one, failed checks none', async (t) => {
    const kv = await t.bucket();
    t.equal(await kv.put('a', '1'), 1);
    t.equal(await kv.put('b', '1'), 2);
    await t.fails(kv.create('a', '2'), { message: /wrong last sequence: 1/ });
    await kv.delete('a');
    t.equal((await kv.get('a')).revision, 3);
    t.equal(await kv.put('a', '2'), 4);
  });

  test('a deleted key gives its marker with an empty value; purge too', async (t) => {
    const kv = await t.bucket({ history: 5 });
    await kv.put('a', 'x');
    await kv.delete('a');
    let entry = await kv.get('a');
    t.equal([entry.operation, entry.value.length, entry.length, entry.string()], ['DEL', 0, 0, '']);
    await kv.put('a', 'y');
    await kv.purge('a');
    entry = await kv.get('a');
    t.equal([entry.operation, entry.value.length], ['PURGE', 0]);
    t.equal((await all(await kv.history('a'))).map(text), ['a@4PURGE']);
  });

  test('wrong revisions are told with the current one', async (t) => {
    const kv = await t.bucket();
    const first = await kv.create('a', '1');
    const second = await kv.update('a', '2', first);
    const wrong = { message: new RegExp(`wrong last sequence: ${second}\\b`), code: 'conflict' };
    for (const call of [
      () => kv.create('a', 'x'),
      () => kv.update('a', 'x', first),
      () => kv.put('a', 'x', { previousSeq: first }),
      () => kv.put('a', 'x', { previousRevision: first }),
      () => kv.delete('a', { previousSeq: first }),
      () => kv.delete('a', { previousRevision: first }),
      () => kv.purge('a', { previousSeq: first }),
    ]) await t.fails(call(), wrong);
    t.equal((await kv.get('a')).string(), '2');
    await kv.put('a', '3', { previousSeq: second });
    await t.fails(kv.update('none', 'x', 7), { message: /wrong last sequence: 0\b/ });
    t.equal(await kv.put('none', 'x', { previousSeq: 0 }), 4);
  });

  test('create succeeds after delete and after purge; update goes on from a marker', async (t) => {
    const kv = await t.bucket();
    await kv.create('a', '1');
    await kv.delete('a');
    await kv.create('a', '2');
    await kv.purge('a');
    await kv.create('a', '3');
    await kv.delete('a');
    const marker = await kv.get('a');
    await t.fails(kv.update('a', '4', marker.revision - 1), { message: new RegExp(`wrong last sequence: ${marker.revision}`) });
    await kv.update('a', '4', marker.revision);
    t.equal((await kv.get('a')).string(), '4');
  });

  test('delete and purge of a filter take each match', async (t) => {
    const kv = await t.bucket();
    for (const key of ['a.x', 'a.y', 'a.y.z', 'b.x']) await kv.put(key, '1');
    await kv.delete('a.*');
    t.equal((await all(await kv.keys())).sort(), ['a.y.z', 'b.x']);
    await kv.purge('>');
    t.equal(await all(await kv.keys()), []);
  });

  test('keys: all, by filter, by filters, without the deleted and the expired', async (t) => {
    const kv = await t.bucket();
    for (const key of ['a.x', 'a.y', 'b.x', 'c']) await kv.put(key, '1');
    await kv.delete('c');
    await kv.put('d', '1', { ttl: 50 });
    await t.pause(80);
    t.equal((await all(await kv.keys())).sort(), ['a.x', 'a.y', 'b.x']);
    t.equal((await all(await kv.keys('a.*'))).sort(), ['a.x', 'a.y']);
    t.equal((await all(await kv.keys({ key: '*.x' }))).sort(), ['a.x', 'b.x']);
    t.equal((await all(await kv.keys(['b.>', 'a.y']))).sort(), ['a.y', 'b.x']);
    t.equal(await all(await kv.keys('a.*.z')), []);
  });

  test('history: ascending, markers included, counting down, ending by itself', async (t) => {
    const kv = await t.bucket({ history: 3 });
    for (const value of ['1', '22', '333', '4444']) await kv.put('a', value);
    await kv.put('b', 'x');
    await kv.delete('a');
    const history = await kv.history({ key: 'a' });
    const entries = await all(history);
    t.equal(entries.map(text), ['a@3', 'a@4', 'a@6DEL']);
    t.equal(entries.map(({ delta }) => delta), [2, 1, 0]);
    t.equal([history.getReceived(), history.getProcessed(), await history.closed], [3, 3, undefined]);
    t.equal((await all(await kv.history())).map(text), ['a@3', 'a@4', 'b@5', 'a@6DEL']);
    const heads = await all(await kv.history({ key: 'a', headers_only: true }));
    t.equal(heads.map(({ length, value }) => [length, value.length]), [[3, 0], [4, 0], [0, 0]]);
  });

  test('names: what is no key or bucket is refused', async (t) => {
    const kv = await t.bucket();
    for (const key of ['', '.a', 'a.', 'a..b', 'a b', 'a*', '*', 'a.>', 'ä']) {
      await t.fails(kv.put(key, 'x'), { message: /invalid key/ });
      await t.fails(kv.get(key), { message: /invalid key/ });
    }
    for (const filter of ['>.a', 'a*', 'a..>']) await t.fails(kv.keys(filter), { message: /invalid key/ });
    for (const name of ['', 'a.b', 'a b']) await t.fails(t.client.kv(name), { message: /invalid bucket name/ });
    await kv.put('-/=_.9', 'fine');
    await t.fails(kv.put('a', 5), { name: 'TypeError' });
  });

  test('options and status, in both spellings', async (t) => {
    const options = { history: 4, ttl: 3_600_000, max_value_size: 1000, maxBytes: 1_000_000, description: 'mine',
      metadata: { a: 'b' }, compression: true, republish: { src: 'a.>', dest: `${t.topic}-r`, headers_only: true } };
    const kv = await t.bucket(options);
    await kv.put('a.x', '12345');
    const status = await kv.status();
    const { bucket, values, history, ttl, maxValueSize, max_bytes, description, metadata, compression, republish } = status;
    t.equal({ bucket, values, history, ttl, maxValueSize, max_bytes, description, metadata, compression },
      { bucket: t.space, values: 1, history: 4, ttl: 3_600_000, maxValueSize: 1000, max_bytes: 1_000_000,
        description: 'mine', metadata: { a: 'b' }, compression: true });
    t.equal([republish.src, republish.dest, republish.headers_only, republish.filter], ['a.>', `${t.topic}-r`, true, 'a.>']);
    t.equal([status.backingStore, status.storage, status.replicas, status.bucket_location], ['kvs', 'file', 1, '']);
    t.equal([status.streamInfo.state.messages, status.streamInfo.state.first_seq, status.streamInfo.state.last_seq], [1, 1, 1]);
    t.ok(status.size > 0 && status.streamInfo.state.bytes === status.size && typeof status.limits === 'object');
    await t.fails(kv.put('b', 'x'.repeat(1001)), { code: 'too_large', status: 413 });
    const [message] = await t.client.dequeue(`${t.topic}-r`);
    t.equal([message.payload.bucket, message.payload.entry.length], [t.space, 5]);
  });

  test('an existing bucket is opened as it is', async (t) => {
    const kv = await t.bucket({ history: 4 });
    await kv.put('a', 'x');
    for (const again of [await t.client.bucket(t.space), await t.connect().views.kv(t.space, { history: 9 })]) {
      t.equal([(await again.get('a')).string(), (await again.status()).history], ['x', 4]);
    }
  });

  test('purgeBucket, purgeDeletes, destroy', async (t) => {
    const kv = await t.bucket({ history: 2 });
    for (const key of ['a', 'b', 'c']) await kv.put(key, '1');
    await kv.delete('a');
    await kv.purgeDeletes();
    t.equal((await kv.get('a')).operation, 'DEL');
    await kv.purgeDeletes(0);
    t.equal(await kv.get('a'), null);
    t.equal((await all(await kv.keys())).sort(), ['b', 'c']);
    await kv.purgeBucket();
    t.equal([(await kv.status()).values, await all(await kv.keys())], [0, []]);
    t.equal(await kv.put('d', '1'), 5 + ((await kv.status()).streamInfo.state.last_seq - 5));
    t.equal(await kv.destroy(), true);
    await t.fails(kv.get('a'), { code: 'no_bucket', status: 404 });
  });

  test('readOnly has what reads, and nothing else', async (t) => {
    const kv = await t.bucket();
    await kv.put('a', 'x');
    const ro = kv.readOnly();
    t.equal(Object.keys(ro).sort(), ['get', 'history', 'keys', 'status', 'watch']);
    t.equal((await ro.get('a')).string(), 'x');
    t.equal([(await all(await ro.keys())).length, (await all(await ro.history())).length, (await ro.status()).values], [1, 1, 1]);
  });

  test('codecs: keys of any characters, values of any type', async (t) => {
    const { Base64KeyCodec, JSONCodec, NoopKvCodecs } = t.kvs;
    const kv = await t.bucket({ codec: { key: Base64KeyCodec(), value: JSONCodec() } });
    await kv.put('user.ä b@c', { n: 1 });
    const entry = await kv.get('user.ä b@c');
    t.equal([entry.key, entry.decoded(), entry.json()], ['user.ä b@c', { n: 1 }, { n: 1 }]);
    t.ok(/^[-\w=.]+$/.test(entry.rawKey) && entry.rawKey !== entry.key);
    t.equal(await all(await kv.keys('user.*')), ['user.ä b@c']);
    t.equal((await all(await kv.history('user.>'))).map(({ key }) => key), ['user.ä b@c']);
    const plain = await t.client.kv(t.space, { codec: NoopKvCodecs() });
    t.equal((await plain.get(entry.rawKey)).string(), '{"n":1}');
    const typed = await t.client.kv(t.space, { codec: JSONCodec() });
    await typed.put('n', [1, 2]);
    t.equal((await typed.get('n')).decoded(), [1, 2]);
    await typed.delete('n');
    t.equal((await typed.get('n')).decoded(), undefined);
  });

  test('JSON that others wrote is seen as its text, and the other way round as bytes', async (t) => {
    const kv = await t.bucket();
    const other = t.connect({ bucket: t.space });
    await other.set(['a', 'b'], new t.kvs.JsonText('{"n":1.0}'));
    t.equal([(await kv.get('a.b')).string(), (await kv.get('a.b')).length], ['{"n":1.0}', 9]);
    await other.set(['a', 5], 'not dotted');
    t.equal(await all(await kv.keys()), ['a.b']);
    await kv.put('c', 'x');
    t.equal((await other.get(['c'])).value, Uint8Array.of(120));
  });

  test('ttl: of a put, of a create', async (t) => {
    const kv = await t.bucket();
    await kv.put('a', 'x', { ttl: 100 });
    await kv.create('b', 'x', 100);
    await kv.put('d', 'x', { ttl: 3_600_000 });
    t.ok((await kv.get('a')).expiresAt instanceof Date);
    await t.pause(150);
    t.equal(await all(await kv.keys()), ['d']);
  });
}
