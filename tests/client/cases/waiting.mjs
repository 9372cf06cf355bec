// Needs waitMs and streams on the server.
export const title = 'waiting';

export function cases(test) {
  test('dequeue waits for a message', async (t) => {
    const start = Date.now();
    const waiting = t.client.dequeue(t.topic, 1, { waitMs: 10_000 });
    await t.pause(100);
    await t.connect().enqueue('now', { topic: t.topic });
    t.equal((await waiting).map(({ payload }) => payload), ['now']);
    t.ok(Date.now() - start < 5000, 'an answer as soon as there is one');
    t.equal(await t.client.dequeue(`${t.topic}-none`, 1, { waitMs: 50 }), []);
  });

  test('listen: every message reaches a callback, which acknowledges', async (t) => {
    const { client, topic } = t;
    const seen = [];
    const listener = client.listen(topic, async (message) => {
      seen.push(message.payload);
      t.equal(await client.acknowledge(message.id), true);
    });
    for (let n = 0; n < 40; n++) await client.enqueue(n, { topic });
    await t.until(() => seen.length >= 40);
    listener.cancel();
    t.equal(seen.sort((a, b) => a - b), Array.from({ length: 40 }, (_, n) => n));
  });

  test('watch: all keys at once, null where missing, then every change', async (t) => {
    const { client } = t;
    await client.set(t.key('a'), 1);
    const seen = [];
    const watch = client.watch([t.key('a'), t.key('b')], (entries) => seen.push(entries.map((entry) => entry?.value ?? null)));
    await t.until(() => seen.length === 1);
    await client.set(t.key('b'), 2);
    await t.until(() => seen.length === 2);
    await client.atomic().set(t.key('a'), 3).delete(t.key('b')).commit();
    await t.until(() => seen.length === 3);
    watch.cancel();
    await client.set(t.key('a'), 4);
    await t.pause(100);
    t.equal(seen, [[1, null], [1, 2], [3, null]]);
  });

  test('watch as an iteration, ended by close', async (t) => {
    const watcher = t.connect();
    const seen = [];
    const done = (async () => {
      for await (const [a] of watcher.watch([t.key('a')])) seen.push(a?.value ?? null);
    })();
    await t.until(() => seen.length === 1);
    await t.client.set(t.key('a'), 'x');
    await t.until(() => seen.length === 2);
    watcher.close();
    await done;
    t.equal(seen, [null, 'x']);
  });

  test('a watched key of every type of part', async (t) => {
    const key = t.key(1.5, true, 2n ** 70n, Uint8Array.of(1));
    const seen = [];
    const watch = t.connect({ bigint: true }).watch([key], ([entry]) => seen.push(entry?.value ?? null));
    await t.until(() => seen.length === 1);
    await t.client.set(key, 2n ** 60n);
    await t.until(() => seen.length === 2);
    watch.cancel();
    t.equal(seen, [null, 2n ** 60n]);
  });

  test('lock: one holder at a time, fences that grow, release lets the next in', async (t) => {
    const first = await t.client.lock(t.space, { ttl: 2000, owner: 'me' }).acquire();
    t.equal([first.held, await t.connect().lock(t.space).tryAcquire()], [true, null]);
    await t.fails(t.client.lock(t.space).acquire({ timeoutMs: 100 }), { code: 'lock_timeout', message: /by me/ });
    const next = t.connect().lock(t.space, { ttl: 2000 }).acquire({ timeoutMs: 10_000 });
    await t.pause(50);
    t.equal(await first.release(), true);
    const second = await next;
    t.ok(second.fence > first.fence);
    t.equal([first.held, first.signal.aborted], [false, false]);
    t.equal(await second.release(), true);
  });

  test('lock: renewed while it is held; its loss is told', async (t) => {
    const lock = await t.client.lock(t.space, { ttl: 2000 }).acquire();
    await t.pause(3500);
    t.equal([lock.held, await t.connect().lock(t.space).tryAcquire()], [true, null]);
    await t.client.call('/lock/release', { name: t.space, token: lock.token });
    await t.until(() => lock.signal.aborted);
    t.equal(await lock.release(), false);
  });
}
