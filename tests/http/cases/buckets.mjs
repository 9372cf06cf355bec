// Buckets: create, update, status, list, destroy, purge, purge-deletes; their options and what is wrong with some.
import assert from 'node:assert/strict';

import { del, makeBucket, setAll, status } from '../lib/bucket.mjs';

export const title = 'buckets';

const DEFAULTS = {
  history: 1,
  ttl: 0,
  maxValueSize: -1,
  maxBytes: -1,
  maxKeys: -1,
  description: '',
  metadata: {},
  storage: 'file',
  compression: false,
  markerTtl: 1_800_000,
  republish: null,
  mirror: null,
  sources: [],
  replicas: 1,
  placement: null,
};

const ALL = {
  history: 5,
  ttl: 600_000,
  maxValueSize: 1000,
  maxBytes: 100_000,
  maxKeys: 50,
  description: 'Zählerstände \u0001 "x"',
  metadata: { owner: 'a', 'ü\n': '' },
  storage: 'file',
  compression: true,
  markerTtl: 1000,
  republish: { filter: 'a.>', topic: 'changes', metaOnly: true },
  mirror: null,
  sources: [],
  replicas: 1,
  placement: null,
};

// What has to be refused: the options, and the field to blame where it is not the option itself.
const BAD = [
  [{ history: 0 }],
  [{ history: 1001 }],
  [{ history: 1.5 }],
  [{ history: '2' }],
  [{ ttl: -1 }],
  [{ maxValueSize: -2 }],
  [{ maxBytes: -2 }],
  [{ maxKeys: '1' }],
  [{ description: 1 }],
  [{ metadata: [] }],
  [{ metadata: { a: 1 } }, /^options\.metadata/],
  [{ storage: 'disk' }],
  [{ storage: 1 }],
  [{ compression: 'yes' }],
  [{ markerTtl: -1 }],
  [{ republish: {} }, 'options.republish.topic'],
  [{ republish: { topic: '' } }, 'options.republish.topic'],
  [{ republish: { topic: 't', filter: '' } }, 'options.republish.filter'],
  [{ republish: { topic: 't', filter: 'a..b' } }, 'options.republish.filter'],
  [{ republish: { topic: 't', metaOnly: 1 } }, 'options.republish.metaOnly'],
  [{ republish: { topic: 't', more: 1 } }, 'options.republish.more'],
  [{ republish: 't' }],
  [{ replicas: 2 }],
  [{ replicas: 0 }],
  [{ placement: { cluster: 'x' } }],
  [{ nothing: 1 }],
];

function createCases(test) {
  test('create answers the whole status, with every option at its default', async (s) => {
    const before = Date.now();
    const name = `${s.space}_New-1`;
    const { ok, created, bucket, ...more } = await s.ok('/bucket/create', { name });
    assert.deepEqual([ok, created, more], [true, true, {}]);
    const { limits, created: at, ...rest } = bucket;
    assert.deepEqual(rest, { name, ...DEFAULTS, values: 0, keys: 0, bytes: 0, revision: 0, compacted: 0 });
    assert.ok(at >= before && at <= Date.now());
    for (const limit of Object.values(limits)) assert.ok(Number.isInteger(limit) && limit > 0);
    assert.deepEqual(await status(s, name), bucket);
  });

  test('every option comes back as it was given', async (s) => {
    const name = await makeBucket(s, ALL);
    const got = await status(s, name);
    for (const [option, value] of Object.entries(ALL)) assert.deepEqual(got[option], value, option);
  });

  test('null for an option is leaving it out', async (s) => {
    const options = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, null]));
    const got = await status(s, await makeBucket(s, options));
    for (const [option, value] of Object.entries(DEFAULTS)) assert.deepEqual(got[option], value, option);
  });

  test('create with the same options again is ok and changes nothing', async (s) => {
    const name = await makeBucket(s, ALL);
    const before = await status(s, name);
    const again = await s.ok('/bucket/create', { name, options: ALL });
    assert.deepEqual(again, { ok: true, created: false, bucket: before });
    for (const options of [{}, undefined, { history: 5 }, { metadata: ALL.metadata }]) {
      assert.equal((await s.ok('/bucket/create', { name, options })).created, false);
    }
  });

  test('create with another option is 409, whichever it is, and changes nothing', async (s) => {
    const name = await makeBucket(s, ALL);
    const before = await status(s, name);
    for (const option of Object.keys(DEFAULTS).slice(0, 11)) {
      if (option === 'storage') continue;
      const value = option === 'republish' ? { topic: 'other' } : DEFAULTS[option];
      await s.fails('/bucket/create', { name, options: { [option]: value } }, 409, 'conflict');
    }
    await s.fails('/bucket/create', { name, options: { storage: 'memory' } }, 409, 'conflict');
    assert.deepEqual(await status(s, name), before);
  });

  test('default exists: creating it with its own options is ok, and it has a status', async (s) => {
    assert.equal((await s.ok('/bucket/create', { name: 'default', options: { history: 1 } })).created, false);
    assert.equal((await status(s, 'default')).name, 'default');
  });

  test('a name is 1 to 64 of A-Z a-z 0-9 _ -', async (s) => {
    const longest = `${s.space}${'x'.repeat(64)}`.slice(0, 64);
    assert.equal((await s.ok('/bucket/create', { name: longest })).created, true);
    for (const name of ['', 'a.b', 'a b', 'ä', 'a/b', `${longest}x`, 'a\u0000', 1, null, undefined]) {
      await s.fails('/bucket/create', { name }, 400, 'bad_request', 'name');
    }
    for (const path of ['update', 'status', 'destroy', 'purge', 'purge-deletes']) {
      await s.fails(`/bucket/${path}`, { name: 'a.b' }, 400, 'bad_request', 'name');
      await s.fails(`/bucket/${path}`, { name: `none-${s.space}` }, 404, 'no_bucket');
    }
  });

  test('bad options are refused, by create and by update, and nothing is made or changed', async (s) => {
    const there = await makeBucket(s);
    const before = await status(s, there);
    for (const [options, field = `options.${Object.keys(options)[0]}`] of BAD) {
      const name = `${s.space}-bad`;
      await s.fails('/bucket/create', { name, options }, 400, 'bad_request', field);
      await s.fails('/bucket/update', { name: there, options }, 400, 'bad_request', field);
      await s.fails('/bucket/status', { name }, 404, 'no_bucket');
    }
    await s.fails('/bucket/create', { name: there, history: 2 }, 400, 'bad_request', 'history');
    await s.fails('/bucket/create', { name: there, options: [] }, 400, 'bad_request', 'options');
    assert.deepEqual(await status(s, there), before);
  });

  test('replicas and placement say that they need a distributed engine', async (s) => {
    const name = `${s.space}-far`;
    for (const options of [{ replicas: 3 }, { placement: {} }]) {
      assert.match((await s.fails('/bucket/create', { name, options }, 400, 'bad_request')).message, /distributed/);
    }
  });
}

function updateCases(test) {
  test('update changes what it names and leaves the others', async (s) => {
    const name = await makeBucket(s, ALL);
    const before = await status(s, name);
    const { ok, bucket } = await s.ok('/bucket/update', { name, options: { history: 7, description: 'new' } });
    assert.equal(ok, true);
    assert.deepEqual(bucket, { ...before, history: 7, description: 'new' });
    assert.deepEqual(await status(s, name), bucket);
    assert.deepEqual((await s.ok('/bucket/update', { name })).bucket, bucket);
  });

  test('republish null takes the rule away', async (s) => {
    const name = await makeBucket(s, ALL);
    assert.equal((await s.ok('/bucket/update', { name, options: { republish: null } })).bucket.republish, null);
  });

  test('storage cannot be changed; naming the one it has is no change', async (s) => {
    const name = await makeBucket(s);
    await s.fails('/bucket/update', { name, options: { storage: 'memory' } }, 400, 'bad_request', 'options.storage');
    assert.equal((await s.ok('/bucket/update', { name, options: { storage: 'file' } })).bucket.storage, 'file');
  });

  test('a lower history takes effect on what is there', async (s) => {
    const bucket = await makeBucket(s, { history: 10 });
    for (const key of [['a'], ['b']]) await setAll(s, bucket, Array(6).fill(key));
    assert.equal((await status(s, bucket)).values, 12);
    assert.equal((await s.ok('/bucket/update', { name: bucket, options: { history: 2 } })).bucket.values, 4);
    for (const key of [['a'], ['b']]) {
      const { entries } = await s.ok('/kv/history', { bucket, key });
      assert.deepEqual(entries.map(({ value }) => value).length, 2);
    }
  });

  test('list has every bucket with its status', async (s) => {
    const names = [await makeBucket(s, ALL), await makeBucket(s)];
    const { buckets, ...more } = await s.ok('/bucket/list', {});
    assert.deepEqual(more, {});
    for (const name of names) assert.deepEqual(buckets.find((one) => one.name === name), await status(s, name));
    assert.equal(buckets.filter(({ name }) => name === 'default').length, 1);
  });
}

function contentCases(test) {
  test('buckets share nothing: keys, versions and revisions are each one\'s own, from 1', async (s) => {
    const [a, b] = [await makeBucket(s), await makeBucket(s)];
    assert.deepEqual(await s.set(['k'], 'a', { bucket: a }), { ok: true, version: 1, revision: 1 });
    assert.deepEqual(await s.set(['k'], 'b', { bucket: b }), { ok: true, version: 1, revision: 1 });
    assert.equal((await s.set(['k'], 'b2', { bucket: b })).revision, 2);
    assert.equal((await s.get(['k'], { bucket: a })).value, 'a');
    assert.equal((await s.get(['k'], { bucket: b })).value, 'b2');
    assert.equal((await s.ok('/kv/list', { bucket: a, prefix: [] })).entries.length, 1);
  });

  test('status counts values with markers, live keys and bytes', async (s) => {
    const bucket = await makeBucket(s, { history: 3 });
    await setAll(s, bucket, [['a'], ['a'], ['b'], ['c']]);
    await del(s, bucket, ['c']);
    const got = await status(s, bucket);
    assert.deepEqual([got.values, got.keys, got.revision, got.compacted], [5, 2, 5, 0]);
    assert.ok(got.bytes > 0);
  });

  test('an expired key is no live key, before anybody has removed it', async (s) => {
    const bucket = await makeBucket(s);
    await s.set(['a'], 1, { bucket, ttl: 1 });
    await s.set(['b'], 1, { bucket });
    await s.until('the expiry', async () => (await s.get(['a'], { bucket })) === null);
    assert.equal((await status(s, bucket)).keys, 1);
  });

  test('the ttl of a bucket is default and maximum', async (s) => {
    const bucket = await makeBucket(s, { ttl: 60_000 });
    for (const [ttl, most] of [[undefined, 60_000], [0, 60_000], [600_000, 60_000], [1000, 1000]]) {
      const before = Date.now();
      await s.set(['a'], 1, { bucket, ttl });
      const { expiresAt } = await s.get(['a'], { bucket });
      assert.ok(expiresAt >= before + most && expiresAt <= Date.now() + most, `${ttl}: ${expiresAt - before}`);
    }
    const before = Date.now();
    assert.equal((await s.ok('/kv/touch', { bucket, key: ['a'], ttl: 0 })).touched, true);
    assert.ok((await s.get(['a'], { bucket })).expiresAt >= before + 60_000);
  });

  test('destroyed, a bucket is gone with its keys; created again it goes on with its revisions', async (s) => {
    const bucket = await makeBucket(s, { history: 4, description: 'old' });
    const [, last] = await setAll(s, bucket, [['a'], ['b']]);
    assert.deepEqual(await s.ok('/bucket/destroy', { name: bucket }), { ok: true });
    await s.fails('/kv/get', { bucket, key: ['a'] }, 404, 'no_bucket');
    await s.fails('/kv/set', { bucket, key: ['a'], value: 1 }, 404, 'no_bucket');
    await s.fails('/bucket/status', { name: bucket }, 404, 'no_bucket');
    await s.fails('/bucket/destroy', { name: bucket }, 404, 'no_bucket');
    assert.ok(!(await s.ok('/bucket/list', {})).buckets.some(({ name }) => name === bucket));
    const { created, bucket: fresh } = await s.ok('/bucket/create', { name: bucket });
    assert.deepEqual([created, fresh.history, fresh.description, fresh.keys, fresh.values], [true, 1, '', 0, 0]);
    assert.equal(await s.get(['a'], { bucket, markers: true }), null);
    assert.deepEqual(await s.set(['a'], 1, { bucket }), { ok: true, version: 1, revision: last + 1 });
  });

  test('default cannot be destroyed', async (s) => {
    await s.fails('/bucket/destroy', { name: 'default' }, 400, 'bad_request', 'name');
  });

  test('purge empties one bucket; revisions go on', async (s) => {
    const [bucket, other] = [await makeBucket(s, { history: 3 }), await makeBucket(s)];
    await setAll(s, other, [['a']]);
    const revisions = await setAll(s, bucket, [['a'], ['a'], ['b']]);
    const { ok, purged } = await s.ok('/bucket/purge', { name: bucket });
    assert.deepEqual([ok, purged], [true, 2]);
    const { keys, values, bytes } = await status(s, bucket);
    assert.deepEqual([keys, values, bytes], [0, 0, 0]);
    assert.deepEqual((await s.ok('/kv/history', { bucket, filter: '>' })).entries, []);
    const { version, revision } = await s.set(['a'], 1, { bucket });
    assert.equal(version, 1);
    assert.ok(revision > revisions[2]);
    assert.equal((await s.get(['a'], { bucket: other })).value, 0);
  });
}

function purgeDeletesCases(test) {
  test('purge-deletes drops markers older than olderThan, by default half an hour, and says how many', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['b'], ['c']]);
    await del(s, bucket, ['a']);
    await s.ok('/kv/purge', { bucket, key: ['b'] });
    for (const olderThan of [undefined, 600_000]) {
      assert.deepEqual(await s.ok('/bucket/purge-deletes', { name: bucket, olderThan }), { ok: true, purged: 0 });
    }
    assert.equal((await s.get(['a'], { bucket, markers: true })).operation, 'DEL');
    const gone = await s.ok('/bucket/purge-deletes', { name: bucket, olderThan: 0 });
    assert.deepEqual(gone, { ok: true, purged: 2 });
    for (const key of [['a'], ['b']]) assert.equal(await s.get(key, { bucket, markers: true }), null);
    assert.equal((await s.get(['c'], { bucket })).value, 2);
    await s.fails('/bucket/purge-deletes', { name: bucket, olderThan: -1 }, 400, 'bad_request', 'olderThan');
  });

  test('it never drops a live key nor its history, those created again included', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    await s.set(['a'], 1, { bucket });
    await del(s, bucket, ['a']);
    await s.set(['a'], 2, { bucket });
    const before = await s.ok('/kv/history', { bucket, key: ['a'] });
    assert.equal(before.entries.length, 3);
    assert.equal((await s.ok('/bucket/purge-deletes', { name: bucket, olderThan: 0 })).purged, 0);
    assert.deepEqual(await s.ok('/kv/history', { bucket, key: ['a'] }), before);
    assert.equal((await status(s, bucket)).compacted, 0);
  });

  test('it takes the dropped key\'s history along, and no revision', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    await setAll(s, bucket, [['a'], ['a'], ['b']]);
    const { revision } = await del(s, bucket, ['a']);
    await s.ok('/bucket/purge-deletes', { name: bucket, olderThan: 0 });
    assert.deepEqual((await s.ok('/kv/history', { bucket, key: ['a'] })).entries, []);
    const got = await status(s, bucket);
    assert.deepEqual([got.values, got.keys, got.revision, got.compacted], [1, 1, revision, revision]);
  });

  test('a since below what it dropped is 410 and names the revision, at it is fine', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['b']]);
    const { revision } = await del(s, bucket, ['a']);
    await s.set(['b'], 9, { bucket });
    await s.ok('/bucket/purge-deletes', { name: bucket, olderThan: 0 });
    for (const path of ['/kv/changes', '/kv/watch']) {
      const error = await s.fails(path, { bucket, since: revision - 1 }, 410, 'compacted', 'since');
      assert.equal(error.revision, revision);
    }
    const { entries } = await s.ok('/kv/changes', { bucket, since: revision });
    assert.deepEqual(entries.map(({ value }) => value), [9]);
  });
}

export function cases(test) {
  createCases(test);
  updateCases(test);
  contentCases(test);
  purgeDeletesCases(test);
}
