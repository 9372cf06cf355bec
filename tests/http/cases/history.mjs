// History: how many values a key keeps, markers among them; reading it by revision, key and filter; purge.
import assert from 'node:assert/strict';

import { del, makeBucket, pages, setAll, status } from '../lib/bucket.mjs';

export const title = 'history';

const brief = (entries) => entries.map(({ operation, value }) => operation ?? value);

async function historyOf(s, bucket, key) {
  return (await s.ok('/kv/history', { bucket, key })).entries;
}

function keepCases(test) {
  test('without more a key keeps one value', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['a'], ['a']]);
    assert.deepEqual(brief(await historyOf(s, bucket, ['a'])), [2]);
    await del(s, bucket, ['a']);
    assert.deepEqual(brief(await historyOf(s, bucket, ['a'])), ['DEL']);
    assert.equal((await status(s, bucket)).values, 1);
  });

  test('history n keeps the last n of each key, markers among them', async (s) => {
    const bucket = await makeBucket(s, { history: 3 });
    await setAll(s, bucket, [['a'], ['a'], ['b']]);
    assert.deepEqual(brief(await historyOf(s, bucket, ['a'])), [0, 1]);
    await del(s, bucket, ['a']);
    assert.deepEqual(brief(await historyOf(s, bucket, ['a'])), [0, 1, 'DEL']);
    await s.set(['a'], 'new', { bucket });
    assert.deepEqual(brief(await historyOf(s, bucket, ['a'])), [1, 'DEL', 'new']);
    assert.deepEqual(brief(await historyOf(s, bucket, ['b'])), [2]);
    assert.equal((await status(s, bucket)).values, 4);
  });

  test('an entry of the history has what it had when it was the newest', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    const key = ['a', 1];
    await s.ok('/kv/set', `{"bucket":"${bucket}","key":["a",1],"value":1.0}`);
    const first = await s.get(key, { bucket });
    await s.set(key, 2, { bucket, ttl: 600_000 });
    const second = await s.get(key, { bucket });
    await s.ok('/kv/set', { bucket, key, valueBase64: 'AAE=' });
    const third = await s.get(key, { bucket });
    const { revision } = await del(s, bucket, key);
    const answer = await s.sent('/kv/history', { bucket, key });
    assert.equal(answer.raw('entries', 0, 'value'), '1.0');
    assert.equal(answer.raw('cursor'), 'null');
    const { entries } = answer.json;
    assert.deepEqual(entries.slice(0, 3), [first, second, third]);
    const { created, ...marker } = entries[3];
    assert.ok(created >= third.created);
    assert.equal(marker.operation, 'DEL');
    assert.equal(marker.revision, revision);
    assert.deepEqual(entries.map(({ version }) => version).slice(0, 3), [1, 2, 3]);
  });

  test('several mutations of one key in one request leave one entry', async (s) => {
    const bucket = await makeBucket(s, { history: 9 });
    const key = ['a'];
    const mutations = [1, 2, 3].map((value) => ({ type: 'set', key, value }));
    const { revision, version } = await s.ok('/kv/atomic', { bucket, mutations });
    const entries = await historyOf(s, bucket, key);
    assert.deepEqual([entries.length, entries[0].value, version, entries[0].revision], [1, 3, 3, revision]);
  });

  test('touch and increment are values of the history too', async (s) => {
    const bucket = await makeBucket(s, { history: 9 });
    await s.ok('/kv/increment', { bucket, key: ['n'] });
    await s.ok('/kv/touch', { bucket, key: ['n'], ttl: 600_000 });
    await s.ok('/kv/increment', { bucket, key: ['n'], delta: 4 });
    const entries = await historyOf(s, bucket, ['n']);
    assert.deepEqual(brief(entries), [1, 1, 5]);
    assert.deepEqual(entries.map(({ version }) => version), [1, 1, 2]);
  });

  test('the next write of an expired key first writes its EXPIRE marker, with a revision of its own', async (s) => {
    const bucket = await makeBucket(s, { history: 9 });
    const first = await s.set(['a'], 1, { bucket, ttl: 1 });
    await s.until('the expiry', async () => (await s.get(['a'], { bucket })) === null);
    const second = await s.set(['a'], 2, { bucket });
    const entries = await historyOf(s, bucket, ['a']);
    assert.deepEqual(brief(entries.slice(-2)), ['EXPIRE', 2]);
    const revisions = entries.map(({ revision }) => revision);
    assert.deepEqual([second.version, second.revision], [1, first.revision + 2]);
    assert.deepEqual(revisions.slice(-2), [first.revision + 1, first.revision + 2]);
  });
}

function readCases(test) {
  test('get with a revision answers what exactly that revision wrote, while it is held', async (s) => {
    const bucket = await makeBucket(s, { history: 2 });
    const revisions = await setAll(s, bucket, [['a'], ['b'], ['a'], ['a']]);
    const at = async (key, revision) => (await s.get(key, { bucket, revision }))?.value ?? null;
    assert.deepEqual(await Promise.all(revisions.map((revision) => at(['a'], revision))), [null, null, 2, 3]);
    assert.equal(await at(['b'], revisions[1]), 1);
    assert.equal(await at(['b'], revisions[2]), null);
    assert.equal(await at(['a'], revisions[3] + 1), null);
  });

  test('a filter reads many keys, by ascending revision', async (s) => {
    const bucket = await makeBucket(s, { history: 4 });
    const keys = [['x', 'a'], ['x', 'b'], ['y', 'a'], ['x', 'a'], ['x', 'c', 'd']];
    const revisions = await setAll(s, bucket, keys);
    const read = async (filter) => (await s.ok('/kv/history', { bucket, filter })).entries.map((e) => e.revision);
    assert.deepEqual(await read('x.*'), [revisions[0], revisions[1], revisions[3]]);
    assert.deepEqual(await read(['y.a', 'x.c.>']), [revisions[2], revisions[4]]);
    assert.deepEqual(await read('>'), revisions);
    assert.deepEqual(await read('none'), []);
  });

  test('pages follow each other and hold everything once; none ends inside a revision', async (s) => {
    const bucket = await makeBucket(s, { history: 9 });
    for (let i = 0; i < 5; i += 1) {
      const mutations = ['a', 'b', 'c'].map((name) => ({ type: 'set', key: [name], value: i }));
      await s.ok('/kv/atomic', { bucket, mutations });
    }
    const whole = (await s.ok('/kv/history', { bucket, filter: '*' })).entries;
    assert.equal(whole.length, 15);
    for (const limit of [1, 2, 4, 1000]) {
      assert.deepEqual(await pages(s, '/kv/history', 'entries', { bucket, filter: '*', limit }), whole, `${limit}`);
    }
    const one = await pages(s, '/kv/history', 'entries', { bucket, key: ['b'], limit: 2 });
    assert.deepEqual(brief(one), [0, 1, 2, 3, 4]);
  });

  test('a cursor of another query is refused, as are limits out of range', async (s) => {
    const bucket = await makeBucket(s, { history: 9 });
    await setAll(s, bucket, [['a'], ['a'], ['a']]);
    const { cursor } = await s.ok('/kv/history', { bucket, key: ['a'], limit: 1 });
    assert.equal(typeof cursor, 'string');
    await s.fails('/kv/history', { bucket, key: ['b'], cursor }, 400, 'bad_request', 'cursor');
    await s.fails('/kv/history', { bucket, filter: 'a', cursor }, 400, 'bad_request', 'cursor');
    await s.fails('/kv/history', { key: ['a'], cursor }, 400, 'bad_request', 'cursor');
    await s.fails('/kv/history', { bucket, key: ['a'], cursor: `${cursor}A` }, 400, 'bad_request', 'cursor');
    for (const limit of [0, 1001, 'x']) {
      await s.fails('/kv/history', { bucket, key: ['a'], limit }, 400, 'bad_request', 'limit');
    }
    await s.fails('/kv/history', { bucket }, 400, 'bad_request');
    await s.fails('/kv/history', { bucket, key: ['a'], filter: 'a' }, 400, 'bad_request');
  });
}

function purgeCases(test) {
  test('purge leaves one marker of a key and nothing of its history', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    const revisions = await setAll(s, bucket, [['a'], ['a'], ['b'], ['a']]);
    const answer = await s.ok('/kv/purge', { bucket, key: ['a'] });
    assert.deepEqual(answer, { ok: true, purged: 1, revision: revisions[3] + 1 });
    const [marker, ...more] = await historyOf(s, bucket, ['a']);
    assert.deepEqual([marker.operation, marker.revision, more], ['PURGE', answer.revision, []]);
    assert.equal(await s.get(['a'], { bucket, revision: revisions[0] }), null);
    assert.equal((await status(s, bucket)).values, 2);
    assert.equal((await status(s, bucket)).compacted, 0);
  });

  test('purge of a prefix takes what lies below it, in one revision', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    await setAll(s, bucket, [['a'], ['a', 1], ['a', 'x'], ['a', 'x'], ['a', 'x', 'y'], ['a\u0000'], ['b']]);
    const { purged, revision } = await s.ok('/kv/purge', { bucket, prefix: ['a'] });
    assert.equal(purged, 3);
    const { entries } = await s.ok('/kv/history', { bucket, filter: '>' });
    const left = entries.map(({ key, operation }) => [key, operation]);
    assert.deepEqual(left.filter(([, operation]) => !operation).map(([key]) => key), [['a'], ['a\u0000'], ['b']]);
    assert.deepEqual(entries.filter((e) => e.operation).map((e) => [e.operation, e.revision]), Array(3).fill(['PURGE', revision]));
    const empty = await s.ok('/kv/purge', { bucket, prefix: ['none'] });
    assert.deepEqual([empty.purged, empty.revision], [0, revision]);
    assert.equal((await s.ok('/kv/purge', { bucket, prefix: [] })).purged, 3);
    assert.equal((await status(s, bucket)).keys, 0);
  });

  test('purge with a revision is 409 where it is not the current one', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    const [old, now] = await setAll(s, bucket, [['a'], ['a']]);
    const error = await s.fails('/kv/purge', { bucket, key: ['a'], revision: old }, 409, 'conflict', 'revision');
    assert.deepEqual([error.revision, error.version], [now, 2]);
    const missing = await s.fails('/kv/purge', { bucket, key: ['b'], revision: old }, 409, 'conflict', 'revision');
    assert.deepEqual([missing.revision, missing.version], [null, null]);
    assert.equal((await historyOf(s, bucket, ['a'])).length, 2);
    assert.equal((await s.ok('/kv/purge', { bucket, key: ['a'], revision: now })).purged, 1);
    await s.fails('/kv/purge', { bucket, key: ['a'], prefix: ['a'] }, 400, 'bad_request');
    await s.fails('/kv/purge', { bucket }, 400, 'bad_request');
  });
}

export function cases(test) {
  keepCases(test);
  readCases(test);
  purgeCases(test);
}
