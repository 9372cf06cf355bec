// Expiry: an entry is there to its very millisecond and gone from it on, for every read and for every write that looks.
import assert from 'node:assert/strict';

export const title = 'ttl';

// Polls look() and proves of each answer that it was right at some moment between request and answer.  Ends when the
// entry is gone.
async function watchExpire(s, expiresAt, look) {
  await s.until('the expiry', async () => {
    const before = Date.now();
    const there = await look();
    const later = Date.now();
    if (there) assert.ok(before < expiresAt, `still there ${before - expiresAt} ms late`);
    else assert.ok(later >= expiresAt, `gone ${expiresAt - later} ms early`);
    return !there;
  });
}

async function expired(s, key, value = 'old') {
  await s.set(key, value, { ttl: 1 });
  await s.until('the expiry', async () => (await s.get(key)) === null);
}

function readCases(test) {
  test('expiresAt is the time of the set and its ttl, and is absent without one', async (s) => {
    const before = Date.now();
    await s.set(s.key('a'), 1, { ttl: 90_000 });
    const { expiresAt, created } = await s.get(s.key('a'));
    assert.ok(expiresAt >= before + 90_000 && expiresAt <= Date.now() + 90_000);
    assert.ok(Math.abs(expiresAt - created - 90_000) < 10_000);
    for (const ttl of [0, null, undefined]) {
      await s.set(s.key('a'), 1, { ttl: 90_000 });
      await s.set(s.key('a'), 1, { ttl });
      assert.ok(!('expiresAt' in (await s.get(s.key('a')))), `${ttl}`);
    }
  });

  test('get sees an entry until its millisecond and not from it on', async (s) => {
    const { expiresAt } = await s.setBriefly(s.key('a'), 1);
    await watchExpire(s, expiresAt, () => s.get(s.key('a')));
  });

  test('get-many and list see it just so long', async (s) => {
    for (const name of ['many', 'list']) {
      const key = s.key(name);
      const { expiresAt } = await s.setBriefly(key, 1);
      await watchExpire(s, expiresAt, async () => {
        if (name === 'many') return (await s.ok('/kv/get-many', { keys: [key] })).entries[0];
        return (await s.ok('/kv/list', { prefix: [s.space], start: key })).entries[0];
      });
    }
  });

  test('get of its revision answers null for an expired entry', async (s) => {
    const { revision } = await s.set(s.key('a'), 1, { ttl: 1 });
    await s.until('the expiry', async () => (await s.get(s.key('a'))) === null);
    assert.equal(await s.get(s.key('a'), { revision }), null);
  });

  test('reads of an expired entry write nothing', async (s) => {
    await expired(s, s.key('a'));
    const revision = await s.revision();
    await s.get(s.key('a'), { markers: true });
    await s.ok('/kv/list', { prefix: [s.space] });
    await s.ok('/kv/get-many', { keys: [s.key('a')] });
    assert.equal(await s.revision(), revision + 1);
  });

  test('expired entries take no place on a page', async (s) => {
    const mutations = Array.from({ length: 30 }, (_, i) => {
      return { type: 'set', key: s.key('p', i), value: i, ...(i % 3 === 0 ? {} : { ttl: 1 }) };
    });
    await s.ok('/kv/atomic', { mutations });
    await s.until('the expiry', async () => (await s.get(s.key('p', 1))) === null);
    const page = await s.ok('/kv/list', { prefix: s.key('p'), limit: 10 });
    assert.deepEqual(page.entries.map((entry) => entry.value), [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
    assert.deepEqual(await s.keysBelow(s.key('p'), { limit: 2, reverse: true }).then((keys) => keys.length), 10);
  });

  test('a ttl beyond the end of time is refused, or the entry stays', async (s) => {
    for (const ttl of ['9223372036854775807', '9223372036854775000', '9007199254740991']) {
      const answer = await s.post('/kv/set', `{"key":${JSON.stringify(s.key(ttl))},"value":1,"ttl":${ttl}}`);
      if (answer.status === 200) assert.equal((await s.get(s.key(ttl))).value, 1, ttl);
      else s.isError(answer, 400, 'bad_request', 'ttl', ttl);
    }
  });
}

function writeCases(test) {
  test('set on an expired key starts at version 1, with a later revision', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    const old = await s.set(key, 2, { ttl: 1 });
    assert.equal(old.version, 2);
    await s.until('the expiry', async () => (await s.get(key)) === null);
    const fresh = await s.set(key, 3);
    assert.equal(fresh.version, 1);
    assert.ok(fresh.revision > old.revision);
    assert.ok(!('expiresAt' in (await s.get(key))));
  });

  test('create takes an expired key as missing', async (s) => {
    await expired(s, s.key('a'));
    assert.equal((await s.ok('/kv/create', { key: s.key('a'), value: 1 })).version, 1);
  });

  test('update, delete and purge with a revision take an expired key as missing', async (s) => {
    const key = s.key('a');
    const { revision } = await s.set(key, 1, { ttl: 1 });
    await s.until('the expiry', async () => (await s.get(key)) === null);
    for (const [path, more] of [
      ['/kv/update', { value: 2 }],
      ['/kv/delete', {}],
      ['/kv/purge', {}],
    ]) {
      const error = await s.fails(path, { key, revision, ...more }, 409, 'conflict');
      assert.deepEqual([error.revision, error.version], [null, null], path);
    }
    assert.equal(await s.get(key), null);
  });

  test('delete of an expired key deletes nothing', async (s) => {
    await expired(s, s.key('a'));
    const answer = await s.ok('/kv/delete', { key: s.key('a') });
    assert.deepEqual([answer.ok, answer.deleted], [true, false]);
  });

  test('touch does not bring an expired key back', async (s) => {
    await expired(s, s.key('a'));
    assert.equal((await s.ok('/kv/touch', { key: s.key('a'), ttl: 0 })).touched, false);
    assert.equal(await s.get(s.key('a')), null);
  });

  test('increment takes an expired key as missing', async (s) => {
    await expired(s, s.key('a'), 41);
    const { value, version } = await s.ok('/kv/increment', { key: s.key('a') });
    assert.deepEqual([value, version], [1, 1]);
    assert.ok(!('expiresAt' in (await s.get(s.key('a')))));
  });

  test('a check takes an expired key as missing', async (s) => {
    const key = s.key('a');
    const { revision } = await s.set(key, 1, { ttl: 1 });
    await s.until('the expiry', async () => (await s.get(key)) === null);
    for (const check of [{ version: 1 }, { revision }]) {
      assert.deepEqual(await s.ok('/kv/atomic', { checks: [{ key, ...check }] }), { ok: false, failed: [0] });
    }
    const mutations = [{ type: 'set', key, value: 2 }];
    const done = await s.ok('/kv/atomic', { checks: [{ key, version: null }], mutations });
    assert.deepEqual([done.ok, done.version], [true, 1]);
  });

  test('touch keeps an entry that would have expired', async (s) => {
    const key = s.key('a');
    let expiresAt;
    do {
      ({ expiresAt } = await s.setBriefly(key, 1));
    } while (!(await s.ok('/kv/touch', { key, ttl: 600_000 })).touched && Date.now() >= expiresAt);
    await s.until('the old expiry', () => Date.now() > expiresAt);
    assert.equal((await s.get(key)).value, 1);
  });
}

function cleanCases(test) {
  test('clean-expired counts exactly the expired entries it removed', async (s) => {
    await s.ok('/kv/clean-expired');
    const set = (i, ttl) => ({ type: 'set', key: s.key(i), value: i, ttl });
    const mutations = Array.from({ length: 20 }, (_, i) => set(i, i < 13 ? 1 : i < 16 ? 600_000 : 0));
    await s.ok('/kv/atomic', { mutations });
    await s.until('the expiry', async () => (await s.get(s.key(12))) === null);
    assert.deepEqual(await s.ok('/kv/clean-expired'), { ok: true, deleted: 13 });
    assert.deepEqual(await s.ok('/kv/clean-expired', {}), { ok: true, deleted: 0 });
    assert.equal((await s.keysBelow([s.space])).length, 7);
  });

  test('clean-expired leaves an EXPIRE marker with a revision of its own', async (s) => {
    const { revision } = await s.set(s.key('a'), 1, { ttl: 1 });
    await s.until('the expiry', async () => (await s.get(s.key('a'))) === null);
    await s.ok('/kv/clean-expired');
    const marker = await s.get(s.key('a'), { markers: true });
    assert.equal(marker.operation, 'EXPIRE');
    assert.ok(marker.revision > revision);
    assert.equal(marker.value ?? null, null);
    assert.ok((await s.set(s.key('a'), 2)).revision > marker.revision);
  });

  test('clean-expired with nothing to do takes no revision', async (s) => {
    await s.ok('/kv/clean-expired');
    const revision = await s.revision();
    await s.ok('/kv/clean-expired');
    assert.equal(await s.revision(), revision + 1);
  });

  test('clean-expired does not count what was written again', async (s) => {
    await s.ok('/kv/clean-expired');
    await expired(s, s.key('a'));
    await s.set(s.key('a'), 'new');
    assert.equal((await s.ok('/kv/clean-expired')).deleted, 0);
    assert.equal((await s.get(s.key('a'))).value, 'new');
  });
}

export function cases(test) {
  readCases(test);
  writeCases(test);
  cleanCases(test);
}
