export const title = 'watching buckets';

const text = (entry) => `${entry.key}@${entry.revision}${entry.operation === 'PUT' ? '' : entry.operation}`;

async function first(iterator, n) {
  const items = [];
  for await (const item of iterator) if (items.push(item) === n) break;
  return items;
}

export function cases(test) {
  test('latest entries, markers too, then what comes', async (t) => {
    const kv = await t.bucket();
    for (const key of ['a', 'b', 'a']) await kv.put(key, 'x');
    await kv.delete('b');
    const seen = first(await kv.watch(), 3);
    await kv.put('c', 'y');
    const entries = await seen;
    t.equal(entries.map(text), ['a@3', 'b@4DEL', 'c@5']);
    t.equal(entries.map(({ delta, isUpdate }) => [delta, isUpdate]), [[1, false], [0, false], [0, true]]);
    t.equal(entries[2].string(), 'y');
  });

  test('updates only: from now on', async (t) => {
    const kv = await t.bucket();
    await kv.put('a', '1');
    for (const options of [{ include: t.kvs.KvWatchInclude.UpdatesOnly }, { updatesOnly: true }, { include: 'updates' }]) {
      const watch = await kv.watch(options);
      const revision = await kv.put('a', '2');
      const [entry] = await first(watch, 1);
      t.equal([entry.revision, entry.isUpdate], [revision, true]);
      t.equal(await watch.closed, undefined);
    }
  });

  test('all history, filters, from a revision on (inclusive), without deletes, heads only', async (t) => {
    const kv = await t.bucket({ history: 10 });
    await kv.put('a.x', '1');
    await kv.put('b.x', '1');
    await kv.put('a.x', '22');
    await kv.delete('a.x');
    await kv.put('a.y', '1');
    const of = async (options, n) => (await first(await kv.watch(options), n)).map(text);
    t.equal(await of({ include: 'all_history', key: 'a.>' }, 4), ['a.x@1', 'a.x@3', 'a.x@4DEL', 'a.y@5']);
    t.equal(await of({ include: 'history', key: ['a.y', 'b.*'] }, 2), ['b.x@2', 'a.y@5']);
    t.equal(await of({ resumeFromRevision: 3 }, 3), ['a.x@3', 'a.x@4DEL', 'a.y@5']);
    t.equal(await of({ ignoreDeletes: true }, 2), ['b.x@2', 'a.y@5']);
    t.equal(await of({ include: '', ignore_deletes: true }, 2), ['b.x@2', 'a.y@5']);
    const heads = await first(await kv.watch({ include: 'history', headers_only: true }), 3);
    t.equal(heads.map(({ length, value }) => [length, value.length]), [[1, 0], [1, 0], [2, 0]]);
  });

  test('initialized: a promise, a call and the last delta', async (t) => {
    const kv = await t.bucket();
    const empty = await kv.watch();
    await empty.initialized;
    empty.stop();
    await kv.put('a', '1');
    await kv.put('b', '1');
    const order = [];
    const watch = await kv.watch({ initializedFn: () => order.push('initialized') });
    void (async () => {
      for await (const { key, delta } of watch) order.push(`${key} ${delta}`);
    })();
    await watch.initialized;
    t.equal(order, ['a 1', 'b 0', 'initialized']);
    watch.stop();
  });

  test('destroying a bucket ends its watches', async (t) => {
    const kv = await t.bucket();
    const watch = await t.connect().kv(t.space).then((other) => other.watch());
    await kv.destroy();
    const { done } = await watch.next();
    t.equal(done, true);
  });

  test('an expired entry is told to watchers as gone', async (t) => {
    const kv = await t.bucket();
    const watch = await kv.watch();
    await kv.put('a', 'x', { ttl: 2500 });
    const { value: put } = await watch.next();
    t.equal([put.operation, put.expiresAt instanceof Date], ['PUT', true]);
    await t.until(async () => (await kv.get('a'))?.operation !== 'PUT');
    await t.client.cleanExpired();
    const { value: gone } = await watch.next();
    t.equal([gone.key, gone.operation, gone.value.length], ['a', 'PURGE', 0]);
    watch.stop();
  });

  test('twelve hundred changes come in order, each once, with reads of everything', async (t) => {
    const kv = await t.bucket({ history: 1000 });
    const watch = await kv.watch({ include: 'all_history' });
    const writers = [0, 1, 2, 3].map(async (writer) => {
      const own = await t.connect().kv(t.space);
      for (let n = 0; n < 300; n++) await own.put(`k.${writer}.${n % 7}`, String(n));
    });
    const entries = await first(watch, 1200);
    await Promise.all(writers);
    t.equal(entries.map(({ revision }) => revision), Array.from({ length: 1200 }, (_, n) => n + 1));
  });
}
