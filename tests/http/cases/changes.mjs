// Filters, the keys of a bucket, and the change feed that is read page by page.
import assert from 'node:assert/strict';

import { del, makeBucket, pages, setAll, status } from '../lib/bucket.mjs';

export const title = 'keys, filters and changes';

const KEYS = [['a'], ['a', 'b'], ['a', 'b', 'c'], ['a', 1], ['a', true], ['a', { $bytes: 'AA==' }], ['b', 'b'], ['ä', 'b'], [1, 'b'], ['*', '>']];

// A filter and the indexes of KEYS that it matches.
const FILTERS = [
  ['a', [0]],
  ['*', [0]],
  ['>', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ['a.b', [1]],
  ['a.*', [1, 3, 4, 5]],
  ['a.>', [1, 2, 3, 4, 5]],
  ['*.b', [1, 6, 7, 8]],
  ['*.*', [1, 3, 4, 5, 6, 7, 8, 9]],
  ['*.*.*', [2]],
  ['*.>', [1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ['*.*.>', [2]],
  ['a.*.c', [2]],
  ['ä.b', [7]],
  ['a.1', []],
  ['1.b', []],
  ['a.true', []],
  ['none', []],
  [['a', 'b.b'], [0, 6]],
  [['a.*', 'a.b', 'a.>'], [1, 2, 3, 4, 5]],
];

const BAD_FILTERS = ['', '.', 'a.', '.a', 'a..b', '>.a', 'a.>.b', '>.>', [], [''], ['a', 'a..b'], ['a', 1], 1, true, {}];

const matched = (found) => found.map((key) => KEYS.findIndex((one) => JSON.stringify(one) === JSON.stringify(key))).sort((x, y) => x - y);

function filterCases(test) {
  test('a filter matches the same keys wherever it stands', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, KEYS);
    for (const [filter, want] of FILTERS) {
      const label = JSON.stringify(filter);
      assert.deepEqual(matched((await s.ok('/kv/keys', { bucket, filter })).keys), want, label);
      const { entries } = await s.ok('/kv/changes', { bucket, filter, since: 0 });
      assert.deepEqual(matched(entries.map(({ key }) => key)), want, label);
      const history = (await s.ok('/kv/history', { bucket, filter })).entries;
      assert.deepEqual(matched(history.map(({ key }) => key)), want, label);
    }
  });

  test('empty patterns, empty parts and > elsewhere are 400, wherever the filter stands', async (s) => {
    for (const filter of BAD_FILTERS) {
      await s.fails('/kv/keys', { filter }, 400, 'bad_request', /^filter/);
      await s.fails('/kv/changes', { filter, since: 0 }, 400, 'bad_request', /^filter/);
      await s.fails('/kv/history', { filter }, 400, 'bad_request', /^filter/);
      await s.fails('/kv/watch', { filter }, 400, 'bad_request', /^filter/);
    }
  });
}

function keysCases(test) {
  test('keys lists live keys in key order, through pages, without values', async (s) => {
    const bucket = await makeBucket(s, { history: 3 });
    await setAll(s, bucket, [['b'], ['a', 2], ['a', 'x'], ['a', 10], ['c'], ['b']]);
    await del(s, bucket, ['c']);
    await s.set(['old'], 1, { bucket, ttl: 1 });
    await s.until('the expiry', async () => (await s.get(['old'], { bucket })) === null);
    const all = [['a', 'x'], ['a', 2], ['a', 10], ['b']];
    assert.deepEqual(await s.ok('/kv/keys', { bucket }), { keys: all, cursor: null });
    for (const limit of [1, 3, 1000]) assert.deepEqual(await pages(s, '/kv/keys', 'keys', { bucket, limit }), all);
    assert.deepEqual((await s.ok('/kv/keys', { bucket, prefix: ['a'] })).keys, all.slice(0, 3));
    assert.deepEqual((await s.ok('/kv/keys', { bucket, prefix: [] })).keys, all);
    assert.deepEqual(await pages(s, '/kv/keys', 'keys', { bucket, filter: '*.*', limit: 2 }), all.slice(0, 3));
  });

  test('bad parameters of keys', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['b']]);
    const { cursor } = await s.ok('/kv/keys', { bucket, limit: 1 });
    await s.fails('/kv/keys', { bucket, prefix: ['a'], cursor }, 400, 'bad_request', 'cursor');
    await s.fails('/kv/keys', { cursor }, 400, 'bad_request', 'cursor');
    await s.fails('/kv/keys', { bucket, prefix: ['a'], filter: 'a' }, 400, 'bad_request');
    await s.fails('/kv/keys', { bucket, key: ['a'] }, 400, 'bad_request', 'key');
    for (const limit of [0, 1001]) await s.fails('/kv/keys', { bucket, limit }, 400, 'bad_request', 'limit');
  });
}

function changeCases(test) {
  test('changes gives entries after since by revision, the next since, and what is still to come', async (s) => {
    const bucket = await makeBucket(s, { history: 9 });
    assert.deepEqual(await s.ok('/kv/changes', { bucket, since: 0 }), { entries: [], revision: 0, pending: 0 });
    await setAll(s, bucket, [['a'], ['b'], ['a']]);
    await del(s, bucket, ['b']);
    const first = await s.ok('/kv/changes', { bucket, since: 1, limit: 1 });
    assert.deepEqual([first.entries.length, first.entries[0].revision, first.revision, first.pending], [1, 2, 2, 2]);
    const rest = await s.ok('/kv/changes', { bucket, since: first.revision });
    assert.deepEqual(rest.entries.map((e) => e.operation ?? e.value), [2, 'DEL']);
    assert.deepEqual([rest.revision, rest.pending], [4, 0]);
    assert.deepEqual(await s.ok('/kv/changes', { bucket, since: 4 }), { entries: [], revision: 4, pending: 0 });
  });

  test('a page never ends inside a revision', async (s) => {
    const bucket = await makeBucket(s);
    const write = (name) => s.ok('/kv/atomic', { bucket, mutations: [1, 2, 3].map((i) => ({ type: 'set', key: [name, i], value: i })) });
    await write('x');
    await write('y');
    const page = await s.ok('/kv/changes', { bucket, since: 0, limit: 1 });
    assert.deepEqual([page.entries.length, page.revision, page.pending], [3, 1, 3]);
    assert.ok(page.entries.every(({ revision }) => revision === 1));
    assert.equal((await s.ok('/kv/changes', { bucket, since: 0, limit: 4 })).entries.length, 6);
  });

  test('changes takes the selectors of a watch', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['a', 1], ['a', 'x'], ['b']]);
    await del(s, bucket, ['b']);
    const read = async (more) => (await s.ok('/kv/changes', { bucket, since: 0, ...more })).entries.map(({ key }) => key);
    assert.deepEqual(await read({ key: ['a'] }), [['a']]);
    assert.deepEqual(await read({ keys: [['b'], ['a', 1]] }), [['a', 1], ['b']]);
    assert.deepEqual(await read({ prefix: ['a'] }), [['a', 1], ['a', 'x']]);
    assert.deepEqual(await read({ ignoreDeletes: true }), [['a'], ['a', 1], ['a', 'x']]);
    const { entries } = await s.ok('/kv/changes', { bucket, since: 0, key: ['a'], metaOnly: true });
    assert.ok(!('value' in entries[0]));
    assert.equal(entries[0].length, 1);
    assert.deepEqual(await read({ filter: 'none' }), []);
    assert.equal((await s.ok('/kv/changes', { bucket, since: 0, filter: 'none' })).revision, 5);
  });

  test('values that history has dropped are not replayed, and are no 410', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['a'], ['b'], ['a']]);
    const { entries, revision } = await s.ok('/kv/changes', { bucket, since: 0 });
    assert.deepEqual([entries.map((e) => e.revision), revision], [[3, 4], 4]);
  });

  test('bad parameters of changes', async (s) => {
    await s.fails('/kv/changes', {}, 400, 'bad_request', 'since');
    for (const since of [-1, 1.5, 'x', true]) await s.fails('/kv/changes', { since }, 400, 'bad_request', 'since');
    for (const limit of [0, 1001]) await s.fails('/kv/changes', { since: 0, limit }, 400, 'bad_request', 'limit');
    for (const waitMs of [-1, 25_001]) await s.fails('/kv/changes', { since: 0, waitMs }, 400, 'bad_request', 'waitMs');
    await s.fails('/kv/changes', { since: 0, key: ['a'], keys: [['a']] }, 400, 'bad_request');
    await s.fails('/kv/changes', { since: 0, bucket: `none-${s.space}` }, 404, 'no_bucket');
    await s.fails('/kv/changes', { since: 0, heartbeat: 100 }, 400, 'bad_request', 'heartbeat');
  });
}

function waitCases(test) {
  test('waitMs waits for a change that matches, and no longer', async (s) => {
    const bucket = await makeBucket(s);
    const started = Date.now();
    const waiting = s.ok('/kv/changes', { bucket, since: 0, key: ['b'], waitMs: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await s.set(['a'], 1, { bucket });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await s.set(['b'], 2, { bucket });
    const { entries, revision } = await waiting;
    assert.deepEqual([entries.map(({ value }) => value), revision], [[2], 2]);
    const took = Date.now() - started;
    assert.ok(took >= 200 && took < 10_000, `${took}`);
  });

  test('waitMs ends with an empty page, which moves on past what did not match', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['a']]);
    const started = Date.now();
    const answer = await s.ok('/kv/changes', { bucket, since: 0, key: ['b'], waitMs: 300 });
    assert.ok(Date.now() - started >= 290);
    assert.deepEqual(answer, { entries: [], revision: 2, pending: 0 });
  });

  test('what is there is answered at once, whatever waitMs says', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a']]);
    const started = Date.now();
    assert.equal((await s.ok('/kv/changes', { bucket, since: 0, waitMs: 25_000 })).entries.length, 1);
    assert.ok(Date.now() - started < 10_000);
  });

  test('reset leaves no markers and no history: an older since is 410, the current one is fine', async (s) => {
    const bucket = await makeBucket(s, { history: 4 });
    const revisions = await setAll(s, bucket, [['a'], ['a'], ['b']]);
    await del(s, bucket, ['b']);
    await s.ok('/kv/reset');
    const { values, keys, compacted, revision } = await status(s, bucket);
    assert.deepEqual([values, keys, compacted], [0, 0, revision]);
    assert.deepEqual((await s.ok('/kv/history', { bucket, filter: '>' })).entries, []);
    const error = await s.fails('/kv/changes', { bucket, since: revisions[0] }, 410, 'compacted', 'since');
    assert.equal(error.revision, compacted);
    assert.deepEqual((await s.ok('/kv/changes', { bucket, since: compacted })).entries, []);
  });
}

export function cases(test) {
  filterCases(test);
  keysCases(test);
  changeCases(test);
  waitCases(test);
}
