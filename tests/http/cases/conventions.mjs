// What holds for every endpoint: methods, the token, media types, bodies, the form of errors.
import assert from 'node:assert/strict';

import { TOKEN } from '../lib/servers.mjs';

export const title = 'conventions';

const POSTS = [
  ...['get', 'set', 'delete', 'list', 'atomic', 'reset', 'clean-expired'].map((name) => `/kv/${name}`),
  ...['get-many', 'create', 'update', 'increment', 'touch', 'purge'].map((name) => `/kv/${name}`),
  ...['enqueue', 'dequeue', 'ack', 'nack', 'extend', 'enqueue-many'].map((name) => `/queue/${name}`),
  ...['ack-many', 'dead', 'redrive', 'discard', 'stats', 'purge'].map((name) => `/queue/${name}`),
];

const methods = (answer) => (answer.headers.allow ?? '').split(',').map((name) => name.trim());

function methodCases(test) {
  test("a request's id goes back with whatever answer", async (s) => {
    for (const [path, body, status] of [['/kv/list', '{}', 200], ['/kv/get', '{}', 400], ['/kv/no', '{}', 404]]) {
      const answer = await s.client.request({ path, body, headers: { 'X-Request-Id': `id/${status}-~!` } });
      assert.equal(answer.status, status);
      assert.equal(answer.headers['x-request-id'], `id/${status}-~!`);
    }
    const long = await s.client.request({ path: '/kv/list', body: '{}', headers: { 'X-Request-Id': 'x'.repeat(129) } });
    assert.notEqual(long.headers['x-request-id'], 'x'.repeat(129));
  });

  test('every other endpoint answers GET with 405 and Allow: POST', async (s) => {
    for (const path of POSTS) {
      const answer = await s.client.request({ method: 'GET', path });
      s.isError(answer, 405, 'method_not_allowed', undefined, `GET ${path}`);
      assert.ok(methods(answer).includes('POST'), `${path}: ${answer.headers.allow}`);
      assert.ok(!methods(answer).includes('GET'), `${path}: ${answer.headers.allow}`);
    }
  });

  test('OPTIONS without allow_origin grants nothing', async (s) => {
    const headers = { Origin: 'https://example.org', 'Access-Control-Request-Method': 'POST', Authorization: null };
    const answer = await s.client.request({ method: 'OPTIONS', path: '/kv/get', headers });
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
    assert.ok(answer.status === 405 || answer.status === 401, `${answer.status}`);
  });
}

function tokenCases(test) {
  const get = (s, headers, path = '/kv/get') =>
    s.client.request({ path, body: JSON.stringify({ key: s.key('a') }), headers });

  test('every endpoint but health refuses a request without a token, with WWW-Authenticate', async (s) => {
    for (const path of POSTS) {
      const answer = await s.client.request({ path, body: '{}', headers: { Authorization: null } });
      s.isError(answer, 401, 'unauthorized', undefined, path);
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer\b/, path);
    }
  });

  test('a wrong token is refused, whatever it shares with the right one', async (s) => {
    const wrong = ['', 'x', TOKEN.slice(1), TOKEN.slice(0, -1), `${TOKEN}x`, `x${TOKEN}`, TOKEN.toUpperCase()];
    for (const token of [...wrong, 'x'.repeat(4000)]) {
      const answer = await get(s, { Authorization: `Bearer ${token}` });
      s.isError(answer, 401, 'unauthorized', undefined, token);
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer\b/);
      assert.ok(!answer.text.includes(TOKEN));
    }
  });

  test('a refused write changes nothing', async (s) => {
    const body = JSON.stringify({ key: s.key('a'), value: 1 });
    await s.unchanged(async () => {
      const answer = await s.client.request({ path: '/kv/set', body, headers: { Authorization: 'Bearer no' } });
      assert.equal(answer.status, 401);
    });
  });

  test('the scheme Bearer is case-insensitive', async (s) => {
    for (const scheme of ['bearer', 'BEARER', 'bEaReR']) {
      assert.equal((await get(s, { Authorization: `${scheme} ${TOKEN}` })).status, 200, scheme);
    }
  });

  test('another scheme or a bare token in Authorization is refused', async (s) => {
    const basic = Buffer.from(`user:${TOKEN}`).toString('base64');
    for (const value of [TOKEN, `Basic ${basic}`, `Token ${TOKEN}`, `Bearer${TOKEN}`, 'Bearer']) {
      s.isError(await get(s, { Authorization: value }), 401, 'unauthorized', undefined, value);
    }
  });

  test('a token in the URL is refused', async (s) => {
    for (const name of ['token', 'access_token', 'authorization', 'Authorization', 'X-KVS-Token', 'bearer']) {
      for (const value of [TOKEN, `Bearer%20${TOKEN}`]) {
        const answer = await get(s, { Authorization: null }, `/kv/get?${name}=${value}`);
        s.isError(answer, 401, 'unauthorized', undefined, name);
      }
    }
  });

  test('no answer and no error repeats the token', async (s) => {
    const answer = await s.client.request({ path: '/kv/none', body: `{"${TOKEN}":1}` });
    assert.ok(!JSON.stringify(answer.headers).includes(TOKEN));
  });
}

function bodyCases(test) {
  test('a declared type other than JSON is 415 and changes nothing', async (s) => {
    const body = JSON.stringify({ key: s.key('a'), value: 1 });
    await s.unchanged(async () => {
      const types = ['text/plain', 'application/x-www-form-urlencoded', 'text/json5', 'application/jsonx', 'x'];
      for (const type of [...types, 'multipart/form-data; boundary=application/json']) {
        const answer = await s.client.request({ path: '/kv/set', body, headers: { 'Content-Type': type } });
        s.isError(answer, 415, 'unsupported_media', undefined, type);
      }
    });
  });

  test('application/json in any case and with parameters, and no type at all, are taken', async (s) => {
    const body = JSON.stringify({ key: s.key('a') });
    const types = ['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json;x=y'];
    for (const type of [...types, null]) {
      const answer = await s.client.request({ path: '/kv/get', body, headers: { 'Content-Type': type } });
      const wanted = type === null && s.lacks('absent type') ? 415 : 200;
      assert.equal(answer.status, wanted, `${type}: ${answer.body}`);
    }
  });

  test('an empty body is bad_json everywhere but in reset and clean-expired', async (s) => {
    for (const path of POSTS) {
      if (path === '/kv/reset' || path === '/kv/clean-expired') continue;
      await s.fails(path, undefined, 400, 'bad_json');
    }
  });

  test('a body that is JSON but no object is 400', async (s) => {
    for (const path of ['/kv/get', '/kv/list', '/kv/atomic', '/queue/stats', '/queue/dequeue', '/kv/clean-expired']) {
      for (const body of ['[]', 'null', '1', '"x"', 'true', '[{}]']) {
        await s.fails(path, body, 400, ['bad_request', 'bad_json']);
      }
    }
  });

  test('clean-expired takes no body or {} and refuses any field', async (s) => {
    assert.equal((await s.ok('/kv/clean-expired')).ok, true);
    assert.equal((await s.ok('/kv/clean-expired', '{}')).ok, true);
    assert.equal((await s.ok('/kv/clean-expired', ' {\n} ')).ok, true);
    await s.fails('/kv/clean-expired', '{"x":1}', 400, 'bad_request', 'x');
    await s.fails('/kv/clean-expired', '{', 400, 'bad_json');
  });

  test('reset refuses any field and then resets nothing', async (s) => {
    await s.set(s.key('a'), 1);
    await s.unchanged(async () => {
      await s.fails('/kv/reset', '{"x":1}', 400, 'bad_request', 'x');
      await s.fails('/kv/reset', '{', 400, 'bad_json');
      await s.fails('/kv/reset', '[]', 400, ['bad_request', 'bad_json']);
    });
  });
}

function integerCases(test) {
  test('an integer field may be written in any form', async (s) => {
    const key = JSON.stringify(s.key('a'));
    const before = Date.now();
    await s.ok('/kv/set', `{"key":${key},"value":1,"ttl":6e5}`);
    const { expiresAt, revision } = await s.get(s.key('a'));
    assert.ok(expiresAt >= before + 600_000 && expiresAt <= Date.now() + 600_000);
    for (const form of [`${revision}.0`, `${revision}e0`, `${revision}0E-1`, `${revision}00.00e-02`]) {
      assert.equal((await s.ok('/kv/get', `{"key":${key},"revision":${form}}`)).entry.revision, revision, form);
      const body = `{"checks":[{"key":${key},"revision":${form}}]}`;
      assert.equal((await s.ok('/kv/atomic', body)).ok, true, form);
    }
    await s.ok('/kv/update', `{"key":${key},"value":2,"version":0.1e1}`);
    const topic = s.topic();
    await s.ok('/queue/enqueue', `{"topic":"${topic}","payload":1,"maxAttempts":2.0,"priority":-1e0,"delay":0.0}`);
    const { messages } = await s.ok('/queue/dequeue', `{"topic":"${topic}","limit":1E0,"leaseMs":3.0e4}`);
    assert.equal(messages[0].maxAttempts, 2);
  });

  test('a fraction, however small, is no integer', async (s) => {
    const key = JSON.stringify(s.key('a'));
    await s.unchanged(async () => {
      for (const form of ['1.5', '1000.0000000000000000000000000001', '1e-1', '15e-1', '0.1e0']) {
        await s.fails('/kv/set', `{"key":${key},"value":1,"ttl":${form}}`, 400, 'bad_request', 'ttl');
      }
    });
  });
}

export function cases(test) {
  methodCases(test);
  tokenCases(test);
  bodyCases(test);
  integerCases(test);
}
