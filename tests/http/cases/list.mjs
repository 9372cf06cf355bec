// list: ranges, order, limits, pages and their cursors.
import assert from 'node:assert/strict';

export const title = 'list';

// Keys 0 … n-1 below name, with their numbers as values.
async function fill(s, n, name = 'n') {
  const keys = Array.from({ length: n }, (_, i) => s.key(name, i));
  for (let at = 0; at < n; at += 1000) {
    const mutations = keys.slice(at, at + 1000).map((key) => ({ type: 'set', key, value: key[2] }));
    await s.ok('/kv/atomic', { mutations });
  }
  return keys;
}

const numbers = (page) => page.entries.map((entry) => entry.value);
const span = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

function rangeCases(test) {
  test('a prefix takes what lies strictly below it', async (s) => {
    const inside = [['a', ''], ['a', 'x'], ['a', 'x', 'y'], ['a', 0], ['a', false], ['a', { $bytes: '' }]];
    inside.push(['a', { $bigint: '0' }], ['a', true, true]);
    const outside = [['a'], ['a\u0000'], ['a\u0000', 'x'], ['ab'], ['ab', 'x'], ['A', 'x'], ['b'], [{ $bytes: 'YQ==' }, 'x']];
    const mutations = [...inside, ...outside].map((key) => ({ type: 'set', key: s.key(...key), value: 0 }));
    await s.ok('/kv/atomic', { mutations });
    const found = await s.keysBelow(s.key('a'));
    assert.equal(found.length, inside.length);
    for (const key of inside) assert.ok(found.some((other) => JSON.stringify(other) === JSON.stringify(s.key(...key))));
  });

  test('the prefix [] is everything, as is no prefix', async (s) => {
    await fill(s, 3);
    const from = { start: s.key('n', 0), end: s.key('n', 3), limit: 10 };
    assert.deepEqual(numbers(await s.ok('/kv/list', { prefix: [], ...from })), [0, 1, 2]);
    assert.deepEqual(numbers(await s.ok('/kv/list', { prefix: null, ...from })), [0, 1, 2]);
    assert.deepEqual(numbers(await s.ok('/kv/list', from)), [0, 1, 2]);
    assert.equal((await s.ok('/kv/list', { limit: 1 })).entries.length, 1);
  });

  test('start is inclusive, end exclusive, and they combine with prefix', async (s) => {
    await fill(s, 10);
    await fill(s, 3, 'm');
    await fill(s, 3, 'o');
    const list = async (more) => numbers(await s.ok('/kv/list', { prefix: s.key('n'), ...more }));
    assert.deepEqual(await list({ start: s.key('n', 4) }), span(4, 10));
    assert.deepEqual(await list({ end: s.key('n', 4) }), span(0, 4));
    assert.deepEqual(await list({ start: s.key('n', 3), end: s.key('n', 7) }), span(3, 7));
    assert.deepEqual(await list({ start: s.key('n', 3.5), end: s.key('n', 6.5) }), span(4, 7));
    assert.deepEqual(await list({ start: s.key('m'), end: s.key('p') }), span(0, 10));
    assert.deepEqual(await list({ start: s.key('n'), end: s.key('n', true) }), span(0, 10));
    const wide = await s.ok('/kv/list', { start: s.key('m', 2), end: s.key('n', 2) });
    assert.deepEqual(wide.entries.map((entry) => entry.key), [s.key('m', 2), s.key('n', 0), s.key('n', 1)]);
  });

  test('reverse turns the order of the same range', async (s) => {
    await fill(s, 10);
    const more = { prefix: s.key('n'), reverse: true };
    assert.deepEqual(numbers(await s.ok('/kv/list', more)), span(0, 10).reverse());
    const part = { ...more, start: s.key('n', 3), end: s.key('n', 7) };
    assert.deepEqual(numbers(await s.ok('/kv/list', part)), [6, 5, 4, 3]);
    assert.deepEqual(numbers(await s.ok('/kv/list', { ...part, limit: 2 })), [6, 5]);
  });

  test('an empty range is an empty page', async (s) => {
    await fill(s, 5);
    for (const more of [
      { prefix: s.key('none') },
      { start: s.key('n', 3), end: s.key('n', 3) },
      { start: s.key('n', 4), end: s.key('n', 1) },
      { prefix: s.key('n'), start: s.key('o') },
      { prefix: s.key('n'), end: s.key('n') },
      { prefix: s.key('n', 1) },
    ]) {
      for (const reverse of [false, true]) {
        assert.equal((await s.sent('/kv/list', { ...more, reverse })).text, '{"entries":[],"cursor":null}');
      }
    }
  });

  test('deleted keys and markers are not listed', async (s) => {
    await fill(s, 5);
    await s.ok('/kv/delete', { key: s.key('n', 2) });
    await s.ok('/kv/purge', { key: s.key('n', 3) });
    assert.deepEqual(numbers(await s.ok('/kv/list', { prefix: s.key('n') })), [0, 1, 4]);
  });

  test('an entry in a list is the same as from get', async (s) => {
    await s.set(s.key('a', 1), { x: 1 }, { ttl: 600_000 });
    const { entries } = await s.ok('/kv/list', { prefix: s.key('a') });
    assert.deepEqual(entries[0], await s.get(s.key('a', 1)));
  });
}

function limitCases(test) {
  test('the limit is 100 where none is given', async (s) => {
    await fill(s, 101);
    for (const more of [{}, { limit: null }]) {
      const page = await s.ok('/kv/list', { prefix: s.key('n'), ...more });
      assert.deepEqual(numbers(page), span(0, 100));
      assert.equal(typeof page.cursor, 'string');
      const rest = await s.ok('/kv/list', { prefix: s.key('n'), cursor: page.cursor });
      assert.deepEqual([numbers(rest), rest.cursor], [[100], null]);
    }
  });

  test('a limit of 1000 is taken, 0, 1001, fractions and other types are 400', async (s) => {
    await fill(s, 1001);
    assert.equal((await s.ok('/kv/list', { prefix: s.key('n'), limit: 1000 })).entries.length, 1000);
    for (const limit of [0, -1, 1001, 1.5, '10', true, [], {}, 1e30]) {
      await s.fails('/kv/list', { limit }, 400, 'bad_request', 'limit');
    }
  });

  test('a limit may be written as any integer', async (s) => {
    await fill(s, 12);
    for (const [text, n] of [['1e1', 10], ['10.0', 10], ['100e-1', 10], ['0.5e1', 5], ['1.0E+0', 1]]) {
      const page = await s.ok('/kv/list', `{"prefix":${JSON.stringify(s.key('n'))},"limit":${text}}`);
      assert.equal(page.entries.length, n, text);
    }
  });

  test('the cursor is null on a page that is not full', async (s) => {
    await fill(s, 5);
    assert.equal((await s.ok('/kv/list', { prefix: s.key('n'), limit: 6 })).cursor, null);
  });

  test('an answer is cut with a cursor before it exceeds 16 MiB', async (s) => {
    const value = 'v'.repeat(1024 * 1024 - 2);
    for (let i = 0; i < 20; i += 1) await s.set(s.key('big', i), value);
    const seen = [];
    let cursor = null;
    do {
      const page = await s.sent('/kv/list', { prefix: s.key('big'), limit: 1000, cursor });
      assert.ok(page.body.length <= 16 * 1024 * 1024, `${page.body.length}`);
      const { entries } = page.json;
      assert.ok(entries.length >= 1);
      seen.push(...entries.map((entry) => entry.key[2]));
      cursor = page.json.cursor;
    } while (cursor !== null);
    assert.deepEqual(seen, span(0, 20));
    for (let i = 0; i < 20; i += 1) await s.ok('/kv/purge', { key: s.key('big', i) });
  });
}

function cursorCases(test) {
  const first = async (s, more = {}) => {
    await fill(s, 12);
    const query = { prefix: s.key('n'), start: s.key('n', 1), end: s.key('n', 11), limit: 4, ...more };
    return { query, page: await s.ok('/kv/list', query) };
  };

  test('pages of every size give every key once, in order, both ways', async (s) => {
    const keys = await fill(s, 23);
    for (const limit of [1, 2, 7, 22, 23, 24]) {
      if (limit === 1 && s.deployment.mode === 'cgi') continue;
      assert.deepEqual(await s.keysBelow(s.key('n'), { limit }), keys);
      assert.deepEqual(await s.keysBelow(s.key('n'), { limit, reverse: true }), [...keys].reverse());
    }
  });

  test('a page may have another limit than the one before', async (s) => {
    const { query, page } = await first(s);
    const next = await s.ok('/kv/list', { ...query, limit: 2, cursor: page.cursor });
    assert.deepEqual(numbers(next), [5, 6]);
    const named = await s.ok('/kv/list', { ...query, bucket: 'default', reverse: false, cursor: page.cursor });
    assert.deepEqual(numbers(named), [5, 6, 7, 8]);
  });

  test('a cursor works again and again', async (s) => {
    const { query, page } = await first(s);
    for (let i = 0; i < 3; i += 1) {
      assert.deepEqual(numbers(await s.ok('/kv/list', { ...query, cursor: page.cursor })), [5, 6, 7, 8]);
    }
  });

  test('a cursor with another prefix, start, end or reverse is 400', async (s) => {
    const { query, page } = await first(s);
    for (const more of [
      { prefix: [s.space] },
      { prefix: null },
      { prefix: s.key('m') },
      { start: s.key('n', 2) },
      { start: null },
      { end: s.key('n', 10) },
      { end: null },
      { reverse: true },
    ]) {
      await s.fails('/kv/list', { ...query, ...more, cursor: page.cursor }, 400, 'bad_request', 'cursor');
    }
    const down = await s.ok('/kv/list', { ...query, reverse: true });
    await s.fails('/kv/list', { ...query, cursor: down.cursor }, 400, 'bad_request', 'cursor');
  });

  test('start and end of one query do not pass as those of another', async (s) => {
    await fill(s, 12);
    const page = await s.ok('/kv/list', { start: s.key('n', 1), limit: 2 });
    await s.fails('/kv/list', { end: s.key('n', 1), limit: 2, cursor: page.cursor }, 400, 'bad_request', 'cursor');
    await s.fails('/kv/list', { prefix: s.key('n', 1), limit: 2, cursor: page.cursor }, 400, 'bad_request', 'cursor');
  });

  test('a cursor with any character changed, dropped or added is 400', async (s) => {
    const { query, page } = await first(s);
    const { cursor } = page;
    const other = (char) => (char === 'A' ? 'B' : 'A');
    const wrong = [cursor.slice(0, -1), cursor.slice(1), `${cursor}A`, `A${cursor}`, `${cursor}=`, `${cursor} `, cursor + cursor];
    const step = s.deployment.mode === 'cgi' ? 5 : 1;
    for (let i = 0; i < cursor.length; i += step) {
      wrong.push(cursor.slice(0, i) + other(cursor[i]) + cursor.slice(i + 1));
    }
    // The last character may carry spare bits.
    for (const char of 'ABCDQRSTabcdwxyz0123456789') {
      if (char !== cursor.at(-1)) wrong.push(cursor.slice(0, -1) + char);
    }
    for (const text of wrong) await s.fails('/kv/list', { ...query, cursor: text }, 400, 'bad_request', 'cursor');
  });

  test('a cursor that never was one is 400', async (s) => {
    for (const cursor of ['', 'x', 'null', 'AAAA', '\u0000', 'é', 'A'.repeat(5000), '{}', 1, true, [], {}]) {
      await s.fails('/kv/list', { cursor }, 400, 'bad_request', 'cursor');
    }
  });

  test('a cursor stays valid while keys around it come and go', async (s) => {
    for (const reverse of [false, true]) {
      await fill(s, 20);
      const query = { prefix: s.key('n'), limit: 6, reverse };
      const page = await s.ok('/kv/list', query);
      const edge = page.entries.at(-1).key;
      const ahead = reverse ? 5 : 15;
      const passed = reverse ? 18.5 : 1.5;
      await s.ok('/kv/delete', { key: edge });
      await s.ok('/kv/delete', { key: s.key('n', ahead) });
      await s.set(s.key('n', passed), 'passed');
      await s.set(s.key('n', 10.5), 10.5);
      const rest = [];
      let { cursor } = page;
      while (cursor !== null) {
        const next = await s.ok('/kv/list', { ...query, cursor });
        rest.push(...numbers(next));
        cursor = next.cursor;
      }
      const want = [...span(0, 20), 10.5].sort((a, b) => a - b);
      if (reverse) want.reverse();
      const seen = numbers(page);
      assert.deepEqual(rest, want.filter((n) => !seen.includes(n) && n !== ahead));
      await s.ok('/kv/delete', { key: s.key('n', passed) });
      await s.ok('/kv/delete', { key: s.key('n', 10.5) });
    }
  });
}

export function cases(test) {
  rangeCases(test);
  limitCases(test);
  cursorCases(test);
}
