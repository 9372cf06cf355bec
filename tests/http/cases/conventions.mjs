// What holds for every endpoint: health, methods, the token, media types, bodies, the form of errors.
import assert from 'node:assert/strict';
import net from 'node:net';

import { TOKEN } from '../lib/servers.mjs';

export const title = 'conventions';

const POSTS = [
  ...['get', 'set', 'delete', 'list', 'atomic', 'reset', 'clean-expired'].map((name) => `/kv/${name}`),
  ...['get-many', 'create', 'update', 'increment', 'touch', 'purge'].map((name) => `/kv/${name}`),
  ...['enqueue', 'dequeue', 'ack', 'nack', 'extend', 'enqueue-many'].map((name) => `/queue/${name}`),
  ...['ack-many', 'dead', 'redrive', 'discard', 'stats', 'purge'].map((name) => `/queue/${name}`),
];

const methods = (answer) => (answer.headers.allow ?? '').split(',').map((name) => name.trim());

// Sends bytes on a bare connection, closes the sending side, and answers all that comes back.
function exchange(deployment, text) {
  return new Promise((resolve, reject) => {
    const parts = [];
    const socket = net.connect(deployment.port, '127.0.0.1', () => socket.end(text));
    socket.setTimeout(60_000, () => socket.destroy());
    socket.on('data', (part) => parts.push(part));
    socket.on('close', () => resolve(Buffer.concat(parts).toString('latin1')));
    socket.on('error', (error) => (error.code === 'ECONNRESET' ? resolve('') : reject(error)));
  });
}

function healthCases(test) {
  test('health needs no token and names uptime, version and mode', async (s) => {
    const answer = await s.client.request({ method: 'GET', path: '/health', headers: { Authorization: null } });
    assert.equal(answer.status, 200);
    const body = s.checked('/health', answer).json;
    assert.equal(body.ok, true);
    assert.ok(typeof body.uptime === 'number' && body.uptime >= 0);
    assert.ok(typeof body.version === 'string' && body.version.length > 0);
    assert.equal(body.mode, s.deployment.mode);
  });

  test('health ignores a wrong token', async (s) => {
    const headers = { Authorization: 'Bearer wrong' };
    assert.equal((await s.client.request({ method: 'GET', path: '/health', headers })).status, 200);
  });

  test('HEAD on health is 200 without a body', async (s) => {
    const answer = await s.client.request({ method: 'HEAD', path: '/health' });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.length, 0);
  });

  test('POST on health is 405 and Allow names GET and HEAD', async (s) => {
    const answer = await s.client.request({ path: '/health', body: '{}' });
    s.isError(answer, 405, 'method_not_allowed', undefined, 'POST /health');
    assert.ok(methods(answer).includes('GET') && methods(answer).includes('HEAD'), answer.headers.allow);
    assert.ok(!methods(answer).includes('POST'), answer.headers.allow);
  });
}

function methodCases(test) {
  test('every other endpoint answers GET with 405 and Allow: POST', async (s) => {
    for (const path of POSTS) {
      const answer = await s.client.request({ method: 'GET', path });
      s.isError(answer, 405, 'method_not_allowed', undefined, `GET ${path}`);
      assert.ok(methods(answer).includes('POST'), `${path}: ${answer.headers.allow}`);
      assert.ok(!methods(answer).includes('GET'), `${path}: ${answer.headers.allow}`);
    }
  });

  test('HEAD, PUT and DELETE on a POST endpoint are 405 with Allow and change nothing', async (s) => {
    const key = s.key('a');
    await s.set(key, 1);
    await s.unchanged(async () => {
      for (const method of ['HEAD', 'PUT', 'DELETE']) {
        const body = method === 'HEAD' ? null : JSON.stringify({ key });
        const answer = await s.client.request({ method, path: '/kv/delete', body });
        assert.equal(answer.status, 405, method);
        assert.ok(methods(answer).includes('POST'), method);
        if (method === 'HEAD') assert.equal(answer.body.length, 0);
      }
    });
  });

  test('OPTIONS without allow_origin grants nothing', async (s) => {
    const headers = { Origin: 'https://example.org', 'Access-Control-Request-Method': 'POST', Authorization: null };
    const answer = await s.client.request({ method: 'OPTIONS', path: '/kv/get', headers });
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
    assert.ok(answer.status === 405 || answer.status === 401, `${answer.status}`);
  });

  test('an unknown endpoint is 404 not_found', async (s) => {
    for (const path of ['/', '/kv', '/kv/', '/kv/gett', '/kv/get/x', '/KV/get', '/queue', '/healthy', '/kv/get%00']) {
      const answer = await s.client.request({ path, body: '{}' });
      // The web server itself may refuse an escaped NUL.
      if (path.endsWith('%00') && (answer.status === 400 || answer.status === 404)) continue;
      s.isError(answer, 404, 'not_found', undefined, path);
    }
  });

  test('a percent-encoded path names the same endpoint', async (s) => {
    const answer = await s.client.request({ path: '/%6bv/g%65t', body: JSON.stringify({ key: s.key('a') }) });
    assert.equal(answer.status, 200, `${answer.body}`);
    assert.deepEqual(answer.json, { entry: null });
  });

  test('a query string on an endpoint is no part of its name', async (s) => {
    const answer = await s.client.request({ path: '/kv/get?x=1', body: JSON.stringify({ key: s.key('a') }) });
    assert.equal(answer.status, 200, `${answer.body}`);
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

  test('the token is also taken from X-KVS-Token', async (s) => {
    assert.equal((await get(s, { Authorization: null, 'X-KVS-Token': TOKEN })).status, 200);
    s.isError(await get(s, { Authorization: null, 'X-KVS-Token': 'no' }), 401, 'unauthorized', undefined, 'wrong');
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
      assert.equal(answer.status, 200, `${type}: ${answer.body}`);
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

  test('a chunked body is read like any other', async (s) => {
    const value = 'chunk '.repeat(20_000);
    const answer = await s.post('/kv/set', { key: s.key('a'), value }, { chunked: true });
    assert.equal(answer.status, 200, `${answer.body}`);
    assert.equal((await s.get(s.key('a'))).value, value);
  });

  test('a body cut short by the client is not carried out', async (s) => {
    s.deployment.expected.push(/mod_fcgid: can't get data from http client/, /AH01270: Error reading request entity data/);
    const body = JSON.stringify({ key: s.key('cut'), value: 1 });
    await s.unchanged(async () => {
      const head = [
        `POST ${s.client.mount}/kv/set HTTP/1.1`,
        'Host: localhost',
        `Authorization: Bearer ${TOKEN}`,
        'Content-Type: application/json',
        `Content-Length: ${body.length + 100}`,
        'Connection: close',
      ];
      const text = await exchange(s.deployment, `${head.join('\r\n')}\r\n\r\n${body}`);
      assert.doesNotMatch(text, /^HTTP\/1\.1 2/);
    });
  });

  test('answers are sent whole, with their length', async (s) => {
    const answer = await s.sent('/kv/get', { key: s.key('a') });
    const length = answer.headers['content-length'];
    if (length !== undefined) assert.equal(Number(length), answer.body.length);
    else assert.equal(answer.headers['transfer-encoding'], 'chunked');
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

function limitCases(test) {
  const LIMIT = 16 * 1024 * 1024;

  test('a body of exactly 16 MiB is taken', async (s) => {
    const body = JSON.stringify({ key: s.key('a'), value: 'whole' }).padEnd(LIMIT);
    assert.equal(body.length, LIMIT);
    assert.equal((await s.ok('/kv/set', body)).ok, true);
    assert.equal((await s.get(s.key('a'))).value, 'whole');
  });

  test('a body of one byte more is 413 too_large, names the limit and changes nothing', async (s) => {
    const body = JSON.stringify({ key: s.key('a'), value: 'over' }).padEnd(LIMIT + 1);
    await s.unchanged(async () => {
      const error = await s.fails('/kv/set', body, 413, 'too_large');
      assert.match(error.message, /16777216|16 MiB/);
    });
  });

  test('a body far over the limit is 413 and the next request is served', async (s) => {
    const body = Buffer.alloc(LIMIT + 4 * 1024 * 1024, ' ');
    await s.fails('/kv/set', body, 413, 'too_large');
    assert.equal(await s.get(s.key('a')), null);
  });
}

export function cases(test) {
  healthCases(test);
  methodCases(test);
  tokenCases(test);
  bodyCases(test);
  integerCases(test);
  limitCases(test);
}
