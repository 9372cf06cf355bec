// Values and payloads come back byte for byte; what is no JSON is refused, whatever a lenient parser makes of it.
import assert from 'node:assert/strict';

export const title = 'JSON exactness';

// Texts that must come back exactly as they are.
const EXACT = {
  'a fraction of zero': '1.0',
  'trailing zeros': '1.5000000',
  'an integer of 30 digits': '123456789012345678901234567890',
  'a negative integer of 30 digits': '-123456789012345678901234567890',
  'an integer of 400 digits': '9'.repeat(400),
  'a fraction of 60 digits': `0.${'1234567890'.repeat(6)}`,
  'a number beyond every double': '1e400',
  'a number below every double': '1e-400',
  'minus zero': '-0',
  'minus zero as a fraction': '-0.0',
  'an exponent in capitals with a sign': '1E+2',
  'the largest 64-bit integer': '9223372036854775807',
  'an integer that no double holds': '9007199254740993',
  'an escaped NUL': '"a\\u0000b"',
  'nothing but an escaped NUL': '"\\u0000"',
  'an escaped NUL in a name': '{"a\\u0000b":1,"a\\u0000c":2}',
  'a lone high surrogate': '"\\ud800"',
  'a lone low surrogate': '"\\udc00"',
  'surrogates in the wrong order': '"\\udc00\\ud800"',
  'a lone surrogate in a name': '{"\\udfff":1}',
  'an escaped pair': '"\\ud83d\\ude00"',
  'a pair in raw UTF-8': '"😀"',
  'escapes that need not be': '"\\u0041\\/\\u007f\\u00e9"',
  'escapes in capitals': '"\\u00E9\\u00e9"',
  'all short escapes': '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
  'DEL and line separators raw': '"\u007f\u0085\u2028\u2029\ufeff"',
  'the last code point': '"\u{10ffff}"',
  'non-characters': '"\ufffe\uffff"',
  'names twice': '{"a":1,"a":2,"b":{"a":1,"a":1}}',
  'names in no order': '{"z":1,"a":2,"m":{"y":1,"x":2}}',
  'an empty name': '{"":{"":""}}',
  'names of the protocol': '{"value":1,"payload":2,"key":[3],"error":{"code":"x"},"key":4}',
  'names like those of special keys': '{"$bytes":1,"$bigint":"x"}',
  'white space inside strings': '"  a \\t b  "',
  'an empty string': '""',
  'an empty array': '[]',
  'an empty object': '{}',
  'empty things in each other': '[[],{},[{}],""]',
  null: 'null',
  true: 'true',
  false: 'false',
  'what looks like an end': '"]}\\"],"',
};

// Texts with white space outside strings, and what must come back.
const SPACED = [
  [' 1 ', '1'],
  ['[ ]', '[]'],
  ['{ }', '{}'],
  ['\t[\r\n1 ,\t2\n]\r', '[1,2]'],
  ['{ "a b" : [ "c  d" , { "e" : null } ] }', '{"a b":["c  d",{"e":null}]}'],
  ['{"a":\n\n"\\n x \\"  y"}', '{"a":"\\n x \\"  y"}'],
  ['[ "\\\\" , "\\\\\\" " ]', '["\\\\","\\\\\\" "]'],
];

// Texts that are no JSON value.
const BROKEN = {
  'a trailing comma in an array': '[1,]',
  'a trailing comma in an object': '{"a":1,}',
  'a leading comma': '[,1]',
  'two commas': '[1,,2]',
  'no comma': '[1 2]',
  'no colon': '{"a" 1}',
  'no value': '{"a":}',
  'a bare name': '{a:1}',
  'a number as name': '{1:1}',
  'single quotes': "'a'",
  'a leading zero': '01',
  'a negative leading zero': '-01',
  'a plus sign': '+1',
  'no digit before the point': '.5',
  'no digit behind the point': '1.',
  'no digit behind the point but an exponent': '1.e3',
  'an exponent without digits': '1e',
  'an exponent with a sign only': '1e+',
  'a lone minus': '-',
  'two minuses': '--1',
  'two points': '1.2.3',
  hexadecimal: '0x10',
  NaN: 'NaN',
  Infinity: 'Infinity',
  'minus Infinity': '-Infinity',
  undefined: 'undefined',
  'a literal in capitals': 'TRUE',
  'a literal cut short': 'nul',
  'a literal with more behind it': 'nullx',
  'a comment': '1/* one */',
  'a line comment': '1//\n',
  'a raw line end in a string': '"a\nb"',
  'a raw tab in a string': '"a\tb"',
  'a raw NUL in a string': '"a\u0000b"',
  'a raw control character in a string': '"\u001f"',
  'an unknown escape': '"\\x41"',
  'an escaped quote of the other kind': '"\\\'"',
  'a short unicode escape': '"\\u12"',
  'a unicode escape with a sign': '"\\u+123"',
  'a unicode escape that is no hex': '"\\u00g0"',
  'an open string': '"abc',
  'a string that ends in a backslash': '"abc\\"',
  'an open array': '[1',
  'an open object': '{"a":1',
  'the wrong bracket': '[1}',
  'a vertical tab as space': '\u000b1',
  'a form feed as space': '1\u000c',
  'a no-break space as space': '\u00a01',
  'a NUL as space': '1\u0000',
  'a byte order mark': '\ufeff1',
};

// Byte sequences that are not UTF-8, for the inside of a string.
const NOT_UTF8 = {
  'a lone continuation byte': [0x80],
  'a start without its end': [0xc3],
  'an overlong slash': [0xc0, 0xaf],
  'an overlong NUL': [0xc0, 0x80],
  'an overlong three-byte form': [0xe0, 0x80, 0xaf],
  'an overlong four-byte form': [0xf0, 0x80, 0x80, 0xaf],
  'an encoded surrogate': [0xed, 0xa0, 0x80],
  'an encoded surrogate pair': [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
  'a code point above the last': [0xf4, 0x90, 0x80, 0x80],
  'a byte that never occurs': [0xff],
  'a five-byte form': [0xf8, 0x88, 0x80, 0x80, 0x80],
  'Latin-1': [0xe9],
};

function around(before, bytes, behind) {
  return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(behind)]);
}

function valueCases(test) {
  test('every exact text comes back from get, get-many and list as it was sent', async (s) => {
    const texts = Object.values(EXACT);
    const keys = texts.map((text, i) => s.key('exact', i));
    for (const [i, text] of texts.entries()) await s.setRaw(keys[i], text);
    const many = await s.sent('/kv/get-many', { keys });
    const list = await s.sent('/kv/list', { prefix: s.key('exact'), limit: 1000 });
    for (const [i, [name, text]] of Object.entries(EXACT).entries()) {
      assert.equal(await s.getRaw(keys[i]), text, name);
      assert.equal(many.raw('entries', i, 'value'), text, `get-many: ${name}`);
      assert.equal(list.raw('entries', i, 'value'), text, `list: ${name}`);
    }
  });

  test('every exact text survives atomic, create and update', async (s) => {
    const texts = Object.values(EXACT);
    const sets = texts.map((text, i) => `{"type":"set","key":${JSON.stringify(s.key('a', i))},"value":${text}}`);
    await s.ok('/kv/atomic', `{"mutations":[${sets.join(',')}]}`);
    const many = await s.sent('/kv/get-many', { keys: texts.map((text, i) => s.key('a', i)) });
    for (const [i, text] of texts.entries()) assert.equal(many.raw('entries', i, 'value'), text);
    for (const [i, text] of [texts[0], texts[2], texts[13], texts[24]].entries()) {
      const key = s.key('cu', i);
      const { version } = await s.ok('/kv/create', `{"value":${text},"key":${JSON.stringify(key)}}`);
      assert.equal(await s.getRaw(key), text);
      await s.ok('/kv/update', `{"value":[${text}],"version":${version},"key":${JSON.stringify(key)}}`);
      assert.equal(await s.getRaw(key), `[${text}]`);
    }
  });

  test('every exact text comes back as a payload', async (s) => {
    const topic = s.topic();
    const texts = Object.values(EXACT);
    const messages = texts.map((text) => `{"topic":"${topic}","payload":${text}}`);
    await s.ok('/queue/enqueue', messages[0]);
    await s.ok('/queue/enqueue-many', `{"messages":[${messages.slice(1, 20).join(',')}]}`);
    const enqueues = texts.slice(20).map((text) => `{"options":{"topic":"${topic}"},"payload":${text}}`);
    await s.ok('/kv/atomic', `{"enqueues":[${enqueues.join(',')}]}`);
    const answer = await s.sent('/queue/dequeue', { topic, limit: 1000 });
    for (const [i, [name, text]] of Object.entries(EXACT).entries()) {
      assert.equal(answer.raw('messages', i, 'payload'), text, name);
    }
  });

  test('white space goes outside strings and stays inside them', async (s) => {
    const topic = s.topic();
    for (const [sent, stored] of SPACED) {
      await s.setRaw(s.key('a'), sent);
      assert.equal(await s.getRaw(s.key('a')), stored);
      await s.ok('/queue/enqueue', `{ "topic" : "${topic}" , "payload" : ${sent} }`);
      assert.equal((await s.sent('/queue/dequeue', { topic })).raw('messages', 0, 'payload'), stored);
    }
  });

  test('names of the request may be written with escapes', async (s) => {
    const key = JSON.stringify(s.key('a'));
    await s.ok('/kv/set', `{"\\u006bey":${key},"val\\u0075e":7}`);
    assert.equal(await s.getRaw(s.key('a')), '7');
  });
}

function strictnessCases(test) {
  test('a value that is no JSON is bad_json and changes nothing', async (s) => {
    const key = JSON.stringify(s.key('a'));
    await s.setRaw(s.key('a'), '"before"');
    await s.unchanged(async () => {
      for (const text of Object.values(BROKEN)) {
        await s.fails('/kv/set', `{"key":${key},"value":${text}}`, 400, 'bad_json');
      }
    });
  });

  test('a payload that is no JSON is bad_json and enqueues nothing', async (s) => {
    const topic = s.topic();
    await s.unchanged(async () => {
      for (const text of Object.values(BROKEN)) {
        await s.fails('/queue/enqueue', `{"topic":"${topic}","payload":[${text}]}`, 400, 'bad_json');
      }
    });
  });

  test('a request that is no JSON outside its value is bad_json', async (s) => {
    const key = JSON.stringify(s.key('a'));
    for (const text of Object.values(BROKEN)) {
      if (text === '') continue;
      await s.fails('/kv/list', `{"prefix":${key},"limit":${text}}`, 400, 'bad_json');
    }
  });

  test('anything but white space around the body is bad_json', async (s) => {
    const body = JSON.stringify({ key: s.key('a'), value: 1 });
    await s.unchanged(async () => {
      const around = ['\ufeff', 'x', '\u0000', '\u000b', '\u000c', '\u00a0', '1', '"', ','];
      for (const text of around) await s.fails('/kv/set', text + body, 400, 'bad_json');
      const behind = ['x', '\u0000', '\u000b', '\u00a0', '{}', ',', '}', ']', 'null', body, '//', '\u001a'];
      for (const text of behind) await s.fails('/kv/set', body + text, 400, 'bad_json');
    });
    await s.ok('/kv/set', ` \t\r\n${body}\n\r\t `);
  });

  test('every proper beginning of a body is bad_json', async (s) => {
    const body = `{"key":${JSON.stringify(s.key('a'))},"value":{"a":[1.5e3,"\\u00e9",true]}}`;
    await s.unchanged(async () => {
      for (let n = 1; n < body.length; n += s.deployment.mode === 'cgi' ? 7 : 1) {
        await s.fails('/kv/set', body.slice(0, n), 400, 'bad_json');
      }
    });
  });

  test('bytes that are not UTF-8 are bad_json, in a value, a key and a name', async (s) => {
    const key = JSON.stringify(s.key('a'));
    await s.unchanged(async () => {
      for (const bytes of Object.values(NOT_UTF8)) {
        await s.fails('/kv/set', around(`{"key":${key},"value":"a`, bytes, 'b"}'), 400, 'bad_json');
        await s.fails('/kv/set', around(`{"key":["${s.space}","a`, bytes, '"],"value":1}'), 400, 'bad_json');
        await s.fails('/kv/set', around(`{"key":${key},"value":{"a`, bytes, '":1}}'), 400, 'bad_json');
        await s.fails('/queue/enqueue', around('{"payload":["', bytes, '"]}'), 400, 'bad_json');
      }
    });
  });

  test('bytes outside strings that are no ASCII are bad_json', async (s) => {
    const key = JSON.stringify(s.key('a'));
    for (const byte of [0x7f, 0x80, 0xa0, 0xff]) {
      await s.fails('/kv/set', around(`{"key":${key},"value":`, [byte], '1}'), 400, 'bad_json');
    }
  });
}

function nestingCases(test) {
  const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);
  const objects = (depth) => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);

  test('a body nested 128 deep is taken, its value comes back', async (s) => {
    await s.setRaw(s.key('a'), nested(127));
    assert.equal(await s.getRaw(s.key('a')), nested(127));
    await s.setRaw(s.key('a'), objects(127));
    assert.equal(await s.getRaw(s.key('a')), objects(127));
  });

  test('a body nested 129 deep, or far deeper, is 400 and changes nothing', async (s) => {
    const key = JSON.stringify(s.key('a'));
    await s.unchanged(async () => {
      for (const text of [nested(128), objects(128), nested(100_000), objects(100_000), '['.repeat(1_000_000)]) {
        await s.fails('/kv/set', `{"key":${key},"value":${text}}`, 400, ['bad_json', 'bad_request']);
      }
      await s.fails('/kv/get', nested(100_000), 400, ['bad_json', 'bad_request']);
    });
  });

  test('the whole body counts: a value in atomic has less room', async (s) => {
    const body = (depth) =>
      `{"mutations":[{"type":"set","key":${JSON.stringify(s.key('a'))},"value":${nested(depth)}}]}`;
    assert.equal((await s.ok('/kv/atomic', body(125))).ok, true);
    await s.fails('/kv/atomic', body(126), 400, ['bad_json', 'bad_request']);
    assert.equal(await s.getRaw(s.key('a')), nested(125));
  });
}

export function cases(test) {
  valueCases(test);
  strictnessCases(test);
  nestingCases(test);
}
