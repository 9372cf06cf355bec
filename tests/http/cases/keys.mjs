// Keys: their parts, their limits, their order, and how they come back.
import assert from 'node:assert/strict';

export const title = 'keys';

const bytes = (data) => ({ $bytes: Buffer.from(data).toString('base64') });
const big = (n) => ({ $bigint: String(n) });

// Parts of every type in ascending order: bytes < strings < bigints < numbers < false < true.
const ORDERED = [
  bytes([]),
  bytes([0]),
  bytes([0, 0]),
  bytes([0, 1]),
  bytes([0, 255]),
  bytes([1]),
  bytes([1, 0]),
  bytes([127]),
  bytes([128]),
  bytes([255]),
  bytes([255, 0]),
  bytes([255, 255]),
  '',
  '\u0000',
  '\u0000\u0000',
  '\u0000\u0001',
  '\u0000a',
  '\u0001',
  'A',
  'B',
  'a',
  'a\u0000',
  'a\u0000b',
  'a\u0001',
  'aa',
  'ab',
  'b',
  '\u007f',
  'é',
  '߿',
  'ࠀ',
  '퟿',
  '\ue000',
  '\uffff',
  '\u{10000}', // by UTF-8 bytes above U+FFFF, by UTF-16 units below it
  '\u{10ffff}',
  big(-(2n ** 2040n - 1n)),
  big(-(2n ** 128n)),
  big(-(2n ** 64n)),
  big(-(2n ** 64n) + 1n),
  big(-(2n ** 63n)),
  big(-65537),
  big(-65536),
  big(-257),
  big(-256),
  big(-255),
  big(-2),
  big(-1),
  big(0),
  big(1),
  big(2),
  big(127),
  big(128),
  big(255),
  big(256),
  big(65535),
  big(65536),
  big(2n ** 53n),
  big(2n ** 53n + 1n),
  big(2n ** 63n),
  big(2n ** 64n - 1n),
  big(2n ** 64n),
  big(2n ** 64n + 1n),
  big(2n ** 72n),
  big(2n ** 2040n - 1n),
  -Number.MAX_VALUE,
  -1e300,
  -1000,
  -256,
  -1.5,
  -1,
  -0.5,
  -Number.MIN_VALUE,
  0,
  Number.MIN_VALUE,
  1e-10,
  0.5,
  1,
  1.5,
  2,
  10,
  255,
  256,
  2 ** 53,
  1e300,
  Number.MAX_VALUE,
  false,
  true,
];

function shuffled(list) {
  // A fixed permutation: the order of insertion must not be the order of keys.
  return list.map((item, i) => [(i * 37 + 11) % 101, item]).sort((a, b) => a[0] - b[0]).map(([, item]) => item);
}

function orderCases(test) {
  test('parts of all types are listed in key order', async (s) => {
    const keys = ORDERED.map((part) => s.key('o', part));
    await s.ok('/kv/atomic', { mutations: shuffled(keys).map((key) => ({ type: 'set', key, value: key })) });
    const { entries } = await s.ok('/kv/list', { prefix: s.key('o'), limit: 1000 });
    assert.deepEqual(entries.map((entry) => entry.key), keys);
    assert.deepEqual(entries.map((entry) => entry.value), keys);
  });

  test('reverse is exactly the opposite order', async (s) => {
    const keys = ORDERED.map((part) => s.key('o', part));
    await s.ok('/kv/atomic', { mutations: shuffled(keys).map((key) => ({ type: 'set', key, value: 0 })) });
    const down = await s.keysBelow(s.key('o'), { reverse: true, limit: 17 });
    assert.deepEqual(down, keys.reverse());
  });

  test('a key sorts before the keys it is a prefix of, and those before its next sibling', async (s) => {
    const keys = [['a'], ['a', bytes([])], ['a', ''], ['a', 'x'], ['a', 'x', 1], ['a', big(0)], ['a', 0], ['a', true]];
    keys.push(['a\u0000'], ['a\u0000', 'x'], ['aa'], ['b']);
    const full = keys.map((key) => s.key(...key));
    await s.ok('/kv/atomic', { mutations: shuffled(full).map((key) => ({ type: 'set', key, value: 0 })) });
    assert.deepEqual(await s.keysBelow([s.space], { limit: 3 }), full);
  });

  test('keys of one value but different types are different keys', async (s) => {
    const parts = [bytes('1'), '1', big(1), 1, true, bytes(''), '', big(0), 0, false];
    for (const [i, part] of parts.entries()) await s.set(s.key(part), i);
    for (const [i, part] of parts.entries()) assert.equal((await s.get(s.key(part))).value, i);
  });
}

function formCases(test) {
  test('numbers are keys by their value: 1, 1.0 and 10e-1 are one key, -0 and 0 too', async (s) => {
    const same = [
      ['1', '1.0', '1e0', '10e-1', '0.1E+1'],
      ['0', '-0', '0.0', '-0.0', '0e5'],
      ['9007199254740992', '9007199254740993', '9007199254740992.0'],
      ['0.1', '0.1000000000000000055511151231257827'],
    ];
    for (const forms of same) {
      for (const [i, form] of forms.entries()) {
        await s.ok('/kv/set', `{"key":["${s.space}",${form}],"value":${i}}`);
        for (const other of forms) {
          const { entry } = await s.ok('/kv/get', `{"key":["${s.space}",${other}]}`);
          assert.equal(entry.value, i, `${form} as ${other}`);
        }
      }
    }
  });

  test('strings are keys by their text, however they are escaped', async (s) => {
    const same = [
      ['"aé😀/"', '"\\u0061\\u00e9\\uD83D\\ude00\\/"'],
      ['"\\n"', '"\\u000a"'],
      ['"\\u0000"', '"\\u0000"'],
    ];
    for (const [one, other] of same) {
      await s.ok('/kv/set', `{"key":["${s.space}",${one}],"value":${JSON.stringify(one)}}`);
      const { entry } = await s.ok('/kv/get', `{"key":["${s.space}",${other}]}`);
      assert.equal(entry.value, one);
      assert.equal(entry.key[1], JSON.parse(one));
    }
  });

  test('strings are not normalised', async (s) => {
    await s.set(s.key('\u00e9'), 'composed');
    assert.equal(await s.get(s.key('e\u0301')), null);
  });

  test('every part comes back as it was given', async (s) => {
    for (const part of ['', '\u0000', 'a\u0000b', '"\\\n', bytes([0, 255, 0]), big(-5), 2.5, -0.1, 1e21, 5e-324, true]) {
      await s.set(s.key(part, 'end'), 0);
      assert.deepEqual((await s.get(s.key(part, 'end'))).key, s.key(part, 'end'));
    }
  });

  test('the key ["__proto__"] is a key like any other', async (s) => {
    await s.set(s.key('__proto__'), 1);
    assert.deepEqual((await s.get(s.key('__proto__'))).key, s.key('__proto__'));
  });
}

function refusalCases(test) {
  const refused = (s, parts, status = 400, code = 'bad_request') =>
    s.fails('/kv/set', `{"key":["${s.space}",${parts}],"value":1}`, status, code, /^key/);

  test('a part of another type is 400', async (s) => {
    await s.unchanged(async () => {
      for (const part of ['null', '[]', '["a"]', '{}', '{"a":1}', '{"bytes":""}', '{"$Bytes":""}']) {
        await refused(s, part);
        await refused(s, `"a",${part}`);
      }
    });
  });

  test('a bytes part must be padded base64 of the standard alphabet', async (s) => {
    for (const text of ['', 'AA==', 'AAA=', 'AAAA', '+/+/', 'YWJjZA==']) {
      await s.ok('/kv/set', { key: s.key({ $bytes: text }), value: 1 });
      assert.deepEqual((await s.get(s.key({ $bytes: text }))).key[1], { $bytes: text });
    }
    await s.unchanged(async () => {
      const wrong = ['A', 'AA', 'AAA', 'AA=', 'AAAA=', 'A===', '====', '=', '-_-_', 'AA==AAAA', 'AAAA\n', ' AAAA'];
      for (const text of [...wrong, 'AA AA', 'AA=A', 'ÄAAA', 'AAAA\u0000']) {
        await refused(s, JSON.stringify({ $bytes: text }));
      }
      for (const value of ['1', 'null', 'true', '[]', '{}']) await refused(s, `{"$bytes":${value}}`);
    });
  });

  test('a bigint part must be a decimal string of at most 255 bytes', async (s) => {
    await s.unchanged(async () => {
      for (const text of ['', '-', ' 1', '1 ', '1.0', '1e3', '0x10', 'a', '--1', '1n', '1_000', '١', '1\u0000']) {
        await refused(s, JSON.stringify({ $bigint: text }));
      }
      for (const value of ['1', 'null', 'true', '[]', '{}']) await refused(s, `{"$bigint":${value}}`);
      for (const n of [2n ** 2040n, -(2n ** 2040n), 10n ** 1000n]) {
        const answer = await s.post('/kv/get', { key: s.key(big(n)) });
        assert.ok(answer.status === 400 || answer.status === 413, `${answer.status}`);
      }
    });
  });

  test('a special part has one name only, once', async (s) => {
    await refused(s, '{"$bytes":"","$bigint":"1"}');
    await refused(s, '{"$bytes":"","x":1}');
    const twice = `{"key":["${s.space}",{"$bytes":"AA==","$bytes":"AA=="}],"value":1}`;
    await s.fails('/kv/set', twice, 400, ['bad_request', 'bad_json']);
  });

  test('a number part that no finite double holds is 400', async (s) => {
    for (const text of ['1e400', '-1e400', '1e309', `1${'0'.repeat(400)}`]) await refused(s, text);
  });

  test('a lone surrogate in a string part is 400', async (s) => {
    await s.unchanged(async () => {
      for (const text of ['"\\ud800"', '"\\udc00"', '"\\udc00\\ud800"', '"a\\udfffb"', '"\\ud800x"', '"\\ud800\\u0041"']) {
        await refused(s, text);
      }
    });
  });

  test('a key that is no array, or an empty one, is 400', async (s) => {
    for (const key of ['"a"', '1', 'null', 'true', '{}', '[]', '{"$bytes":""}']) {
      await s.fails('/kv/get', `{"key":${key}}`, 400, 'bad_request', 'key');
      await s.fails('/kv/set', `{"key":${key},"value":1}`, 400, 'bad_request', 'key');
      await s.fails('/kv/delete', `{"key":${key}}`, 400, 'bad_request', 'key');
    }
  });

  test('64 parts are a key, 65 are not', async (s) => {
    const parts = (n) => [s.space, ...Array.from({ length: n - 1 }, (_, i) => i % 2 === 0)];
    await s.set(parts(64), 'deep');
    assert.deepEqual(await s.get(parts(64)).then((entry) => [entry.value, entry.key.length]), ['deep', 64]);
    await s.unchanged(async () => {
      await s.fails('/kv/set', { key: parts(65), value: 1 }, 400, 'bad_request', /^key/);
      await s.fails('/kv/get', { key: parts(65) }, 400, 'bad_request', /^key/);
      await s.fails('/kv/list', { prefix: parts(65) }, 400, 'bad_request', /^prefix/);
    });
  });
}

function limitCases(test) {
  // A string part is its UTF-8 bytes and two more; a NUL in it takes two bytes.
  const room = (s) => 2048 - (s.space.length + 2) - 2;

  test('an encoded key of 2048 bytes is taken, one of 2049 is 413', async (s) => {
    const key = (n) => [s.space, 'x'.repeat(n)];
    await s.set(key(room(s)), 'long');
    assert.equal((await s.get(key(room(s)))).value, 'long');
    await s.unchanged(async () => {
      const error = await s.fails('/kv/set', { key: key(room(s) + 1), value: 1 }, 413, 'too_large', /^key/);
      assert.match(error.message, /2048/);
      await s.fails('/kv/get', { key: key(room(s) + 1) }, 413, 'too_large', /^key/);
      await s.fails('/kv/delete', { key: key(100_000) }, 413, 'too_large', /^key/);
    });
  });

  test('the limit counts encoded bytes: NUL takes two, other text its UTF-8', async (s) => {
    const nuls = Math.floor(room(s) / 2);
    await s.set([s.space, '\u0000'.repeat(nuls)], 'nul');
    assert.equal((await s.get([s.space, '\u0000'.repeat(nuls)])).value, 'nul');
    await s.fails('/kv/set', { key: [s.space, '\u0000'.repeat(nuls + 1)], value: 1 }, 413, 'too_large', /^key/);
    const wide = Math.floor(room(s) / 4);
    await s.set([s.space, '😀'.repeat(wide)], 'wide');
    await s.fails('/kv/set', { key: [s.space, '😀'.repeat(wide + 1)], value: 1 }, 413, 'too_large', /^key/);
  });

  test('numbers take 9 bytes, booleans 1, bytes theirs and two', async (s) => {
    const base = s.space.length + 2;
    const data = (n) => [s.space, bytes(Buffer.alloc(n, 7))];
    await s.set(data(2048 - base - 2), 1);
    await s.fails('/kv/set', { key: data(2048 - base - 1), value: 1 }, 413, 'too_large', /^key/);
    const numbers = [s.space, 'x'.repeat(2048 - base - 2 - 62 * 9), ...Array.from({ length: 62 }, (_, i) => i + 0.5)];
    await s.set(numbers, 1);
    numbers[1] += 'x';
    await s.fails('/kv/set', { key: numbers, value: 1 }, 413, 'too_large', /^key/);
  });

  test('the path in the error names the key that is to blame', async (s) => {
    const long = [s.space, 'x'.repeat(3000)];
    const good = s.key('a');
    await s.fails('/kv/get-many', { keys: [good, long] }, 413, 'too_large', /^keys\[1\]/);
    await s.fails('/kv/get-many', { keys: [good, [null]] }, 400, 'bad_request', /^keys\[1\]/);
    const set = (key) => ({ type: 'set', key, value: 1 });
    await s.fails('/kv/atomic', { mutations: [set(good), set(good), set(long)] }, 413, 'too_large', /^mutations\[2\]\.key/);
    await s.fails('/kv/atomic', { checks: [{ key: [[]], version: 1 }] }, 400, 'bad_request', /^checks\[0\]\.key/);
    await s.fails('/kv/list', { start: [null] }, 400, 'bad_request', /^start/);
    await s.fails('/kv/list', { end: long }, 413, 'too_large', /^end/);
  });
}

export function cases(test) {
  orderCases(test);
  formCases(test);
  refusalCases(test);
  limitCases(test);
}
