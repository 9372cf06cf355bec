// Every field of every request: missing, of a wrong type, out of range, unknown, twice, null.  Nothing of it may change
// anything.
import assert from 'node:assert/strict';

export const title = 'fields';

// Values of a wrong type or out of range, by the kind of the field, as JSON text.
const WRONG_INT = ['"1"', '""', 'true', '[]', '{}', '1.5', '1e-1', '9223372036854775808', '1e400', '"1e3"'];
const WRONG = {
  key: ['"a"', '1', 'true', '{}', '[]', '[null]', '[[]]'],
  prefix: ['"a"', '1', 'true', '{}', '[null]'],
  position: [...WRONG_INT, '-1'], // an integer of at least 0
  ttl: [...WRONG_INT, '-1', '-9223372036854775808'],
  delay: [...WRONG_INT, '-1'],
  positive: [...WRONG_INT, '0', '-1'],
  limit: [...WRONG_INT, '0', '-1', '1001'],
  id: ['"1"', 'true', '[]', '{}', '1.5', '9223372036854775808'],
  number: ['"1"', 'true', '[]', '{}'],
  integer: WRONG_INT,
  bool: ['0', '1', '"true"', '[]', '{}'],
  text: ['1', 'true', '[]', '{}'],
  topic: ['1', 'true', '[]', '{}', '""', '"a\\u0000b"', '"a\\nb"', '"\\u007f"', '"\\ud800"', `"${'x'.repeat(257)}"`],
  list: ['"a"', '1', 'true', '{}'],
  backoff: ['"a"', '1', 'true', '{}', '["1"]', '[-1]', '[1.5]', '[null]', '[[]]', '[1,true]'],
  value: [],
};

const req = (kind) => ({ kind, required: true });
const opt = (kind) => ({ kind, required: false });

// The requests.  body(s) is valid as it stands.
const SET = { bucket: opt('text'), key: req('key'), value: req('value'), ttl: opt('ttl') };
const ENQUEUE = {
  payload: req('value'),
  topic: opt('topic'),
  delay: opt('delay'),
  maxAttempts: opt('positive'),
  backoff: opt('backoff'),
  dedupeId: opt('text'),
  priority: opt('integer'),
};
const set = (s) => ({ key: s.key('b'), value: 1 });
const message = (s) => ({ topic: s.oneTopic(), payload: 1 });
const settled = () => ({ id: 999_999_999, lease: 'none' });
const SETTLE = { id: req('id'), lease: opt('text') };

const REQUESTS = {
  '/kv/get': {
    fields: { bucket: opt('text'), key: req('key'), revision: opt('position'), markers: opt('bool') },
    body: (s) => ({ key: s.key('a') }),
  },
  '/kv/set': { fields: SET, body: set },
  '/kv/create': { fields: SET, body: set },
  '/kv/update': {
    fields: { ...SET, revision: opt('position'), version: opt('position') },
    body: (s) => ({ ...set(s), revision: 1 }),
    kept: ['revision'],
  },
  '/kv/delete': {
    fields: { bucket: opt('text'), key: req('key'), revision: opt('position'), version: opt('position') },
    body: (s) => ({ key: s.key('none') }),
  },
  '/kv/purge': {
    fields: { bucket: opt('text'), key: req('key'), revision: opt('position') },
    body: (s) => ({ key: s.key('none') }),
  },
  '/kv/touch': {
    fields: { bucket: opt('text'), key: req('key'), ttl: req('ttl') },
    body: (s) => ({ key: s.key('none'), ttl: 1000 }),
  },
  '/kv/increment': {
    fields: { bucket: opt('text'), key: req('key'), delta: opt('number'), ttl: opt('ttl') },
    body: (s) => ({ key: s.key('n') }),
  },
  '/kv/get-many': {
    fields: { bucket: opt('text'), keys: req('list') },
    body: (s) => ({ keys: [s.key('a')] }),
  },
  '/kv/list': {
    fields: {
      bucket: opt('text'),
      prefix: opt('prefix'),
      start: opt('prefix'),
      end: opt('prefix'),
      limit: opt('limit'),
      cursor: opt('text'),
      reverse: opt('bool'),
    },
    body: () => ({ limit: 1 }),
  },
  '/kv/atomic': {
    fields: {
      bucket: opt('text'),
      checks: opt('list'),
      mutations: opt('list'),
      enqueues: opt('list'),
      acks: opt('list'),
    },
    body: (s) => ({ checks: [{ key: s.key('none'), version: null }] }),
  },
  '/queue/enqueue': { fields: ENQUEUE, body: message },
  '/queue/dequeue': {
    fields: { topic: opt('topic'), limit: opt('limit'), leaseMs: opt('position') },
    body: (s) => ({ topic: s.oneTopic() }),
  },
  '/queue/ack': { fields: SETTLE, body: settled },
  '/queue/nack': { fields: { ...SETTLE, delay: opt('delay') }, body: settled },
  '/queue/extend': { fields: { ...SETTLE, leaseMs: opt('position') }, body: settled },
  '/queue/enqueue-many': { fields: { messages: req('list') }, body: (s) => ({ messages: [message(s)] }) },
  '/queue/ack-many': { fields: { acks: req('list') }, body: () => ({ acks: [settled()] }) },
  '/queue/dead': {
    fields: { topic: req('topic'), limit: opt('positive'), cursor: opt('text') },
    body: (s) => ({ topic: s.oneTopic() }),
  },
  '/queue/redrive': { fields: { topic: req('topic'), ids: opt('list') }, body: (s) => ({ topic: s.oneTopic() }) },
  '/queue/discard': { fields: { topic: req('topic'), ids: opt('list') }, body: (s) => ({ topic: s.oneTopic() }) },
  '/queue/stats': { fields: { topic: opt('topic') }, body: () => ({}) },
  '/queue/purge': { fields: { topic: req('topic') }, body: (s) => ({ topic: s.oneTopic() }) },
};

// The parts of requests that are objects themselves: where they stand, their fields, and the request around them.
const PARTS = {
  'a check': {
    at: 'checks[1]',
    path: '/kv/atomic',
    fields: { key: req('key'), version: opt('position'), revision: opt('position') },
    part: (s) => ({ key: s.key('none'), version: null }),
    kept: ['version', 'revision'],
    around: (s, part) => `{"checks":[{"key":["${s.space}","none"],"version":null},${part}]}`,
  },
  'a set': {
    at: 'mutations[1]',
    path: '/kv/atomic',
    fields: { type: req('text'), key: req('key'), value: req('value'), ttl: opt('ttl') },
    part: (s) => ({ type: 'set', key: s.key('b'), value: 1 }),
    around: (s, part) => `{"mutations":[{"type":"delete","key":["${s.space}","none"]},${part}]}`,
  },
  'a delete': {
    at: 'mutations[0]',
    path: '/kv/atomic',
    fields: { type: req('text'), key: req('key') },
    part: (s) => ({ type: 'delete', key: s.key('none') }),
    around: (s, part) => `{"mutations":[${part}]}`,
  },
  'an increment': {
    at: 'mutations[0]',
    path: '/kv/atomic',
    fields: { type: req('text'), key: req('key'), delta: opt('number'), ttl: opt('ttl') },
    part: (s) => ({ type: 'increment', key: s.key('n') }),
    around: (s, part) => `{"mutations":[${part}]}`,
  },
  'a touch': {
    at: 'mutations[0]',
    path: '/kv/atomic',
    fields: { type: req('text'), key: req('key'), ttl: req('ttl') },
    part: (s) => ({ type: 'touch', key: s.key('none'), ttl: 1 }),
    around: (s, part) => `{"mutations":[${part}]}`,
  },
  'an enqueue': {
    at: 'enqueues[0]',
    path: '/kv/atomic',
    fields: { payload: req('value'), options: opt('options') },
    part: () => ({ payload: 1 }),
    around: (s, part) => `{"enqueues":[${part}]}`,
  },
  'the options of an enqueue': {
    at: 'enqueues[0].options',
    path: '/kv/atomic',
    fields: Object.fromEntries(Object.entries(ENQUEUE).slice(1)),
    part: (s) => ({ topic: s.oneTopic() }),
    around: (s, part) => `{"enqueues":[{"payload":1,"options":${part}}]}`,
  },
  'an item of atomic acks': {
    at: 'acks[0]',
    path: '/kv/atomic',
    fields: { id: req('id'), lease: opt('text') },
    part: settled,
    kept: ['lease'],
    around: (s, part) => `{"acks":[${part}]}`,
  },
  'an item of enqueue-many': {
    at: 'messages[1]',
    path: '/queue/enqueue-many',
    fields: ENQUEUE,
    part: message,
    around: (s, part) => `{"messages":[{"topic":"${s.oneTopic()}","payload":0},${part}]}`,
  },
  'an item of ack-many': {
    at: 'acks[1]',
    path: '/queue/ack-many',
    fields: SETTLE,
    part: settled,
    around: (s, part) => `{"acks":[{"id":999999998},${part}]}`,
  },
};
WRONG.options = ['1', '"a"', '[]', 'true'];

// JSON text of an object with one field written as given text, or left out (undefined).
function withField(body, name, text) {
  const members = Object.entries(body).filter(([other]) => other !== name);
  const texts = members.map(([other, value]) => `${JSON.stringify(other)}:${JSON.stringify(value)}`);
  if (text !== undefined) texts.push(`${JSON.stringify(name)}:${text}`);
  return `{${texts.join(',')}}`;
}

const quote = (text) => text.replace(/[.[\]$]/g, '\\$&');

// Registers the tests of one object: request(s) sends it, valid(s) makes it, at is the path in front of its fields.
function objectCases(test, name, { fields, kept = [] }, { at, valid, send, refuse }) {
  const path = (field) => new RegExp(`^${quote(at + field)}(\\[\\d+\\].*)?$`);

  test(`${name}: a field of a wrong type or out of range is 400 and changes nothing`, async (s) => {
    await s.unchanged(async () => {
      for (const [field, { kind }] of Object.entries(fields)) {
        for (const text of WRONG[kind]) await refuse(s, withField(valid(s), field, text), 'bad_request', path(field));
      }
    });
  });

  test(`${name}: a missing field is 400 where it is needed, and so is null`, async (s) => {
    await s.unchanged(async () => {
      for (const [field, { kind, required }] of Object.entries(fields)) {
        if (!required) continue;
        await refuse(s, withField(valid(s), field, undefined), 'bad_request', path(field));
        if (kind !== 'value') await refuse(s, withField(valid(s), field, 'null'), 'bad_request', path(field));
      }
    });
  });

  test(`${name}: null for an optional field is the same as leaving it out`, async (s) => {
    for (const [field, { required }] of Object.entries(fields)) {
      if (required || kept.includes(field)) continue;
      const without = await send(s, withField(valid(s), field, undefined));
      const withNull = await send(s, withField(valid(s), field, 'null'));
      assert.notEqual(withNull.status, 400, `${field}: ${withNull.body}`);
      // create of the same key twice is no error of the field.
      if (without.status === 200 && withNull.status !== 409) assert.equal(withNull.status, 200, `${field}`);
    }
  });

  test(`${name}: an unknown field is 400, named, and changes nothing`, async (s) => {
    await s.unchanged(async () => {
      for (const field of ['zzz', 'Key', 'keys ', '', 'toString', '__proto__']) {
        const body = withField(valid(s), field, '1');
        await refuse(s, body, 'bad_request', field === '' ? undefined : at + field);
      }
      await refuse(s, withField(valid(s), 'zzz', 'null'), 'bad_request', `${at}zzz`);
    });
  });

  test(`${name}: a field given twice is 400 and changes nothing`, async (s) => {
    await s.unchanged(async () => {
      for (const field of Object.keys(fields)) {
        const body = valid(s);
        const text = JSON.stringify(body[field] ?? null);
        const twice = withField(body, field, `${text},"${field}":${text}`);
        await refuse(s, twice, ['bad_request', 'bad_json']);
        const escaped = `"\\u${field.charCodeAt(0).toString(16).padStart(4, '0')}${field.slice(1)}"`;
        const disguised = withField(body, field, `${text},${escaped}:${text}`);
        await refuse(s, disguised, ['bad_request', 'bad_json']);
      }
    });
  });
}

export function cases(test) {
  for (const [path, request] of Object.entries(REQUESTS)) {
    objectCases(test, path, request, {
      at: '',
      valid: request.body,
      send: (s, body) => s.post(path, body),
      refuse: (s, body, code, field) => s.fails(path, body, 400, code, field),
    });
  }
  for (const [name, part] of Object.entries(PARTS)) {
    objectCases(test, name, part, {
      at: `${part.at}.`,
      valid: part.part,
      send: (s, body) => s.post(part.path, part.around(s, body)),
      refuse: (s, body, code, field) => s.fails(part.path, part.around(s, body), 400, code, field),
    });
  }

  test('an item that is no object is 400 and named', async (s) => {
    const lists = { '/kv/atomic': ['checks', 'mutations', 'enqueues', 'acks'] };
    lists['/queue/enqueue-many'] = ['messages'];
    lists['/queue/ack-many'] = ['acks'];
    await s.unchanged(async () => {
      for (const [path, names] of Object.entries(lists)) {
        for (const name of names) {
          for (const item of ['1', '"a"', 'null', '[]', 'true']) {
            await s.fails(path, `{"${name}":[${item}]}`, 400, 'bad_request', `${name}[0]`);
          }
        }
      }
    });
  });
}
