// Entries one at a time: set, get, delete, create, update, touch, purge, get-many; versions, revisions and markers.
import assert from 'node:assert/strict';

export const title = 'KV';

const MIB = 1024 * 1024;

// Large values would slow down the cases behind: a search that passes one reads it.
const forget = (s) => s.ok('/kv/purge', { prefix: [s.space] });

function entryCases(test) {
  test('get of a key that never was is null', async (s) => {
    assert.equal((await s.sent('/kv/get', { key: s.key('none') })).text, '{"entry":null}');
  });

  test('an entry has key, value, version, revision, created and nothing else', async (s) => {
    const before = Date.now();
    const { ok, version, revision, ...more } = await s.set(s.key('a'), { x: [1] });
    const later = Date.now();
    assert.deepEqual([ok, version, more], [true, 1, {}]);
    assert.ok(Number.isInteger(revision) && revision >= 1);
    const { created, ...entry } = await s.get(s.key('a'));
    assert.deepEqual(entry, { key: s.key('a'), value: { x: [1] }, version, revision });
    assert.ok(Number.isInteger(created) && created >= before && created <= later, `${before} ${created} ${later}`);
  });

  test('a null value is a value', async (s) => {
    await s.set(s.key('a'), null);
    const entry = await s.get(s.key('a'));
    assert.ok('value' in entry && entry.value === null);
  });

  test('the bucket default is the one without a name', async (s) => {
    await s.set(s.key('a'), 1, { bucket: 'default' });
    assert.equal((await s.get(s.key('a'))).value, 1);
    await s.set(s.key('a'), 2, { bucket: null });
    assert.equal((await s.get(s.key('a'), { bucket: 'default' })).value, 2);
  });

  test('a bucket that does not exist is 404 no_bucket and is not made', async (s) => {
    for (let i = 0; i < 2; i += 1) {
      await s.fails('/kv/set', { key: s.key('a'), value: 1, bucket: `none-${s.space}` }, 404, 'no_bucket');
      await s.fails('/kv/get', { key: s.key('a'), bucket: `none-${s.space}` }, 404, 'no_bucket');
    }
  });

  test('version counts the sets of a key since it last did not exist', async (s) => {
    const key = s.key('a');
    for (const version of [1, 2, 3]) assert.equal((await s.set(key, version)).version, version);
    assert.equal((await s.get(key)).version, 3);
    await s.ok('/kv/delete', { key });
    assert.equal((await s.set(key, 'again')).version, 1);
    assert.equal((await s.get(key)).version, 1);
  });

  test('every write request that commits takes the next revision, and no other request takes one', async (s) => {
    const key = s.key('a');
    const start = (await s.set(key, 1)).revision;
    assert.equal((await s.set(s.key('b'), 1)).revision, start + 1);
    await s.get(key);
    await s.ok('/kv/list', { prefix: [s.space] });
    await s.ok('/kv/get-many', { keys: [key] });
    assert.equal((await s.ok('/kv/delete', { key })).revision, start + 2);
    await s.ok('/kv/delete', { key });
    await s.ok('/kv/delete', { key: s.key('none') });
    await s.fails('/kv/create', { key: s.key('b'), value: 1 }, 409, 'conflict');
    await s.fails('/kv/update', { key, value: 1, revision: start }, 409, 'conflict');
    assert.equal((await s.ok('/kv/touch', { key, ttl: 0 })).touched, false);
    assert.equal((await s.ok('/kv/create', { key, value: 1 })).revision, start + 3);
    assert.equal((await s.ok('/kv/update', { key, value: 1, version: 1 })).revision, start + 4);
    assert.equal((await s.ok('/kv/increment', { key })).revision, start + 5);
    assert.equal((await s.ok('/kv/touch', { key, ttl: 0 })).revision, start + 6);
    assert.equal((await s.ok('/kv/purge', { key })).revision, start + 7);
    assert.equal((await s.set(key, 1)).revision, start + 8);
  });

  test('created is the time of the last revision, and never goes back', async (s) => {
    let last = 0;
    for (let i = 0; i < 5; i += 1) {
      const before = Date.now();
      await s.set(s.key('a'), i);
      const { created } = await s.get(s.key('a'));
      assert.ok(created >= before && created >= last && created <= Date.now());
      last = created;
    }
  });
}

function bytesCases(test) {
  test('valueBase64 stores bytes, which come back as valueBase64 and not as value', async (s) => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    for (const data of [all, Buffer.alloc(0), Buffer.from([0]), Buffer.from('{"a":1}')]) {
      const valueBase64 = data.toString('base64');
      assert.equal((await s.ok('/kv/set', { key: s.key('a'), valueBase64 })).ok, true);
      const entry = await s.get(s.key('a'));
      assert.equal(entry.valueBase64, valueBase64);
      assert.ok(!('value' in entry));
      const page = await s.ok('/kv/list', { prefix: [s.space] });
      assert.equal(page.entries[0].valueBase64, valueBase64);
    }
  });

  test('create, update and atomic take valueBase64 too, and JSON may follow bytes', async (s) => {
    const key = s.key('a');
    await s.ok('/kv/create', { key, valueBase64: 'AAE=' });
    await s.ok('/kv/update', { key, valueBase64: 'AAI=', version: 1 });
    assert.equal((await s.get(key)).valueBase64, 'AAI=');
    await s.ok('/kv/atomic', { mutations: [{ type: 'set', key, valueBase64: 'AAM=' }] });
    assert.equal((await s.get(key)).valueBase64, 'AAM=');
    await s.set(key, 'json');
    const entry = await s.get(key);
    assert.deepEqual([entry.value, entry.valueBase64, entry.version], ['json', undefined, 4]);
  });

  test('valueBase64 must be padded base64 of the standard alphabet', async (s) => {
    const key = s.key('a');
    await s.unchanged(async () => {
      for (const valueBase64 of ['A', 'AA', 'AAA', 'A===', '-_-_', 'AA AA', 'AAAA\n', 'AA==AA==', 'é']) {
        await s.fails('/kv/set', { key, valueBase64 }, 400, 'bad_request', 'valueBase64');
      }
      for (const valueBase64 of [1, true, [], {}]) {
        await s.fails('/kv/set', { key, valueBase64 }, 400, 'bad_request', 'valueBase64');
      }
    });
  });

  test('value and valueBase64 exclude each other, one is needed', async (s) => {
    const key = s.key('a');
    await s.unchanged(async () => {
      for (const path of ['/kv/set', '/kv/create']) {
        await s.fails(path, { key, value: 1, valueBase64: '' }, 400, 'bad_request');
        await s.fails(path, { key }, 400, 'bad_request', 'value');
      }
    });
  });

  test('a value of 1 MiB is taken, one byte more is 413 and names the limit', async (s) => {
    const key = s.key('a');
    const text = (n) => 'x'.repeat(n - 2);
    await s.set(key, text(MIB));
    assert.equal((await s.getRaw(key)).length, MIB);
    await s.unchanged(async () => {
      for (const path of ['/kv/set', '/kv/create']) {
        const error = await s.fails(path, { key, value: text(MIB + 1) }, 413, 'too_large', 'value');
        assert.match(error.message, /1048576|1 MiB/);
      }
      await s.fails('/kv/update', { key, value: text(MIB + 1), version: 1 }, 413, 'too_large', 'value');
      const mutations = [{ type: 'set', key, value: text(MIB + 1) }];
      await s.fails('/kv/atomic', { mutations }, 413, 'too_large', 'mutations[0].value');
    });
    await forget(s);
  });

  test('the limit is in bytes of UTF-8, as sent', async (s) => {
    await s.setRaw(s.key('a'), `"${'é'.repeat(MIB / 2 - 1)}"`);
    await s.fails('/kv/set', `{"key":["${s.space}"],"value":"${'é'.repeat(MIB / 2)}"}`, 413, 'too_large', 'value');
    const escapes = '\\u0041'.repeat(Math.ceil(MIB / 6));
    await s.fails('/kv/set', `{"key":["${s.space}"],"value":"${escapes}"}`, 413, 'too_large', 'value');
    await forget(s);
  });

  test('of bytes, 1 MiB decoded is taken, one byte more is 413', async (s) => {
    const key = s.key('a');
    const valueBase64 = Buffer.alloc(MIB, 0xa5).toString('base64');
    await s.ok('/kv/set', { key, valueBase64 });
    assert.equal((await s.get(key)).valueBase64, valueBase64);
    const over = Buffer.alloc(MIB + 1).toString('base64');
    await s.fails('/kv/set', { key, valueBase64: over }, 413, 'too_large', 'valueBase64');
    await forget(s);
  });
}

function deleteCases(test) {
  test('delete removes the key and says so', async (s) => {
    const { revision } = await s.set(s.key('a'), 1);
    assert.deepEqual(await s.ok('/kv/delete', { key: s.key('a') }), { ok: true, deleted: true, revision: revision + 1 });
    assert.equal(await s.get(s.key('a')), null);
  });

  test('delete of a missing key is ok, deleted nothing and changes nothing', async (s) => {
    await s.unchanged(async () => {
      const answer = await s.ok('/kv/delete', { key: s.key('none') });
      assert.deepEqual([answer.ok, answer.deleted], [true, false]);
    });
  });

  test('delete with the current revision or version deletes, with another it is a conflict', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    const { revision, version } = await s.set(key, 2);
    await s.unchanged(async () => {
      for (const more of [{ revision: revision - 1 }, { version: 1 }, { version: 3 }, { revision, version: 1 }]) {
        const error = await s.fails('/kv/delete', { key, ...more }, 409, 'conflict');
        assert.deepEqual([error.revision, error.version], [revision, version]);
      }
    });
    assert.equal((await s.ok('/kv/delete', { key, revision, version })).deleted, true);
    await s.set(key, 3);
    assert.equal((await s.ok('/kv/delete', { key, version: 1 })).deleted, true);
  });

  test('delete of a missing key with a revision is a conflict with null', async (s) => {
    const { revision } = await s.set(s.key('a'), 1);
    await s.ok('/kv/delete', { key: s.key('a') });
    await s.unchanged(async () => {
      for (const key of [s.key('a'), s.key('none')]) {
        const error = await s.fails('/kv/delete', { key, revision }, 409, 'conflict');
        assert.deepEqual([error.revision, error.version], [null, null]);
      }
    });
  });

  test('with markers a deleted key answers its DEL marker', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    const before = Date.now();
    const { revision } = await s.ok('/kv/delete', { key });
    const marker = await s.get(key, { markers: true });
    assert.equal(marker.operation, 'DEL');
    assert.deepEqual([marker.key, marker.revision], [key, revision]);
    assert.ok(marker.created >= before && marker.created <= Date.now());
    assert.ok((marker.value ?? null) === null && !('valueBase64' in marker));
    assert.equal(await s.get(key, { markers: false }), null);
    assert.equal(await s.get(key), null);
    await s.set(key, 2);
    assert.ok(!('operation' in (await s.get(key, { markers: true }))));
    assert.equal(await s.get(s.key('none'), { markers: true }), null);
  });

  test('get with a revision answers what exactly that revision wrote, or null', async (s) => {
    const key = s.key('a');
    const first = await s.set(key, 1);
    const second = await s.set(key, 2);
    const other = await s.set(s.key('b'), 3);
    assert.equal((await s.get(key, { revision: second.revision })).value, 2);
    assert.equal(await s.get(key, { revision: first.revision }), null);
    assert.equal(await s.get(key, { revision: other.revision }), null);
    assert.equal(await s.get(key, { revision: other.revision + 1000 }), null);
    const gone = await s.ok('/kv/delete', { key });
    assert.equal(await s.get(key, { revision: second.revision }), null);
    assert.equal((await s.get(key, { revision: gone.revision, markers: true })).operation, 'DEL');
  });
}

function createCases(test) {
  test('create makes a missing key and refuses an existing one with its revision and version', async (s) => {
    const key = s.key('a');
    const made = await s.ok('/kv/create', { key, value: 1 });
    assert.deepEqual([made.ok, made.version, Object.keys(made).length], [true, 1, 3]);
    await s.unchanged(async () => {
      const error = await s.fails('/kv/create', { key, value: 2 }, 409, 'conflict');
      assert.deepEqual([error.revision, error.version], [made.revision, 1]);
    });
    await s.ok('/kv/delete', { key });
    assert.equal((await s.ok('/kv/create', { key, value: 3 })).version, 1);
  });

  test('update replaces the entry with the given revision or version', async (s) => {
    const key = s.key('a');
    const first = await s.set(key, 1);
    const second = await s.ok('/kv/update', { key, value: 2, revision: first.revision });
    assert.deepEqual([second.ok, second.version, second.revision], [true, 2, first.revision + 1]);
    const third = await s.ok('/kv/update', { key, value: 3, version: 2 });
    assert.deepEqual([third.version, (await s.get(key)).value], [3, 3]);
    assert.equal((await s.ok('/kv/update', { key, value: 4, version: 3, revision: null })).version, 4);
  });

  test('update with another revision or version is a conflict with the current ones', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    const { revision, version } = await s.set(key, 2);
    await s.unchanged(async () => {
      for (const more of [{ revision: revision - 1 }, { revision: revision + 1 }, { version: 1 }, { version: 3 }]) {
        const error = await s.fails('/kv/update', { key, value: 9, ...more }, 409, 'conflict');
        assert.deepEqual([error.revision, error.version], [revision, version]);
      }
    });
  });

  test('update of a missing or deleted key is a conflict with null', async (s) => {
    const { revision } = await s.set(s.key('a'), 1);
    await s.ok('/kv/delete', { key: s.key('a') });
    await s.unchanged(async () => {
      for (const key of [s.key('a'), s.key('none')]) {
        for (const more of [{ revision }, { version: 1 }]) {
          const error = await s.fails('/kv/update', { key, value: 9, ...more }, 409, 'conflict');
          assert.deepEqual([error.revision, error.version], [null, null]);
        }
      }
    });
  });

  test('update with neither revision nor version is 400', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    await s.unchanged(async () => {
      await s.fails('/kv/update', { key, value: 2 }, 400, 'bad_request');
      await s.fails('/kv/update', { key, value: 2, revision: null, version: null }, 400, 'bad_request');
    });
  });
}

function touchCases(test) {
  test('touch changes expiry and revision, never value or version', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    const old = await s.set(key, { v: 2 });
    const before = Date.now();
    const answer = await s.ok('/kv/touch', { key, ttl: 600_000 });
    assert.deepEqual(answer, { ok: true, touched: true, revision: old.revision + 1 });
    const entry = await s.get(key);
    assert.deepEqual([entry.value, entry.version, entry.revision], [{ v: 2 }, 2, answer.revision]);
    assert.ok(entry.expiresAt >= before + 600_000 && entry.expiresAt <= Date.now() + 600_000);
    assert.ok(entry.created >= before);
    await s.ok('/kv/touch', { key, ttl: 0 });
    assert.ok(!('expiresAt' in (await s.get(key))));
  });

  test('touch of a missing or deleted key touches nothing', async (s) => {
    await s.set(s.key('a'), 1);
    await s.ok('/kv/delete', { key: s.key('a') });
    await s.unchanged(async () => {
      for (const key of [s.key('a'), s.key('none')]) {
        const answer = await s.ok('/kv/touch', { key, ttl: 1000 });
        assert.deepEqual([answer.ok, answer.touched], [true, false]);
      }
    });
  });

  test('touch needs a ttl', async (s) => {
    await s.set(s.key('a'), 1);
    await s.unchanged(async () => {
      await s.fails('/kv/touch', { key: s.key('a') }, 400, 'bad_request', 'ttl');
      await s.fails('/kv/touch', { key: s.key('a'), ttl: null }, 400, 'bad_request', 'ttl');
    });
  });

  test('purge removes a key, leaves a PURGE marker and starts versions again', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    const old = await s.set(key, 2);
    assert.deepEqual(await s.ok('/kv/purge', { key }), { ok: true, purged: 1, revision: old.revision + 1 });
    assert.equal(await s.get(key), null);
    const marker = await s.get(key, { markers: true });
    assert.deepEqual([marker.operation, marker.revision], ['PURGE', old.revision + 1]);
    assert.equal((await s.set(key, 3)).version, 1);
  });

  test('purge of a key that never was purges nothing', async (s) => {
    const answer = await s.ok('/kv/purge', { key: s.key('none') });
    assert.deepEqual([answer.ok, answer.purged], [true, 0]);
  });

  test('purge with a wrong revision, or with one of a missing key, is a conflict', async (s) => {
    const key = s.key('a');
    const { revision } = await s.set(key, 1);
    await s.unchanged(async () => {
      const error = await s.fails('/kv/purge', { key, revision: revision - 1 }, 409, 'conflict');
      assert.deepEqual([error.revision, error.version], [revision, 1]);
      const none = await s.fails('/kv/purge', { key: s.key('none'), revision }, 409, 'conflict');
      assert.deepEqual([none.revision, none.version], [null, null]);
    });
    assert.equal((await s.ok('/kv/purge', { key, revision })).purged, 1);
  });

  test('purge needs a key or a prefix, and takes no more than one of them', async (s) => {
    await s.set(s.key('a'), 1);
    await s.unchanged(async () => {
      await s.fails('/kv/purge', {}, 400, 'bad_request');
      await s.fails('/kv/purge', { key: s.key('a'), prefix: [s.space] }, 400, 'bad_request');
    });
  });
}

function manyCases(test) {
  test('get-many answers in the order asked, null for what is missing, repeats what is repeated', async (s) => {
    await s.set(s.key('a'), 'A');
    await s.set(s.key('b'), 'B');
    await s.set(s.key('c'), 'C');
    await s.ok('/kv/delete', { key: s.key('c') });
    const keys = ['b', 'none', 'a', 'c', 'b'].map((part) => s.key(part));
    const { entries, ...more } = await s.ok('/kv/get-many', { keys });
    assert.deepEqual(more, {});
    assert.deepEqual(entries.map((entry) => entry && entry.value), ['B', null, 'A', null, 'B']);
    assert.deepEqual(entries[2], await s.get(s.key('a')));
  });

  test('get-many takes 1000 keys, 1001 are 413', async (s) => {
    const keys = Array.from({ length: 1001 }, (_, i) => s.key(i));
    await s.set(keys[999], 'last');
    const { entries } = await s.ok('/kv/get-many', { keys: keys.slice(0, 1000) });
    assert.deepEqual([entries.length, entries[999].value, entries[0]], [1000, 'last', null]);
    const error = await s.fails('/kv/get-many', { keys }, 413, 'too_large', 'keys');
    assert.match(error.message, /1000/);
  });

  test('get-many needs an array of keys', async (s) => {
    await s.fails('/kv/get-many', {}, 400, 'bad_request', 'keys');
    for (const keys of [null, {}, 'a', 1]) await s.fails('/kv/get-many', { keys }, 400, 'bad_request', 'keys');
    await s.fails('/kv/get-many', { keys: ['a'] }, 400, 'bad_request', 'keys[0]');
    await s.fails('/kv/get-many', { keys: [s.key('a'), []] }, 400, 'bad_request', 'keys[1]');
  });
}

export function cases(test) {
  entryCases(test);
  bytesCases(test);
  deleteCases(test);
  createCases(test);
  touchCases(test);
  manyCases(test);
}
