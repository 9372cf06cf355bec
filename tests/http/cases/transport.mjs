// What can depend on how a web server passes a request on and an answer back: paths, methods, headers, bodies, streams.
import assert from 'node:assert/strict';
import net from 'node:net';

import { makeBucket } from '../lib/bucket.mjs';
import { TOKEN } from '../lib/servers.mjs';
import { watch, withStream } from '../lib/stream.mjs';

export const title = 'transport';

const methods = (answer) => (answer.headers.allow ?? '').split(',').map((name) => name.trim());

// What servers log of a body cut short.
const CUT_SHORT = [
  /mod_fcgid: can't get data from http client/,
  /AH01095: prefetch request body failed/,
  /AH01075: Error dispatching request to : \(reading input brigade\)/,
  /AH01270: Error reading request entity data/,
  /"msg":"unexpected EOF"/,
];

// Sends bytes on a bare connection, closes the sending side where `cut` says so, and answers all that comes back.
function exchange(deployment, text, cut = false) {
  return new Promise((resolve, reject) => {
    const parts = [];
    const socket = net.connect(deployment.port, '127.0.0.1', () => (cut ? socket.end(text) : socket.write(text)));
    socket.setTimeout(240_000, () => socket.destroy());
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

function pathCases(test) {
  test('an unknown endpoint is 404 not_found', async (s) => {
    for (const path of ['/', '/kv', '/kv/', '/kv/gett', '/kv/get/x', '/KV/get', '/queue', '/healthy', '/kv/get%00']) {
      const answer = await s.client.request({ path, body: '{}' });
      if (path.endsWith('/') && s.lacks('slash at the end')) {
        assert.equal(answer.status, 404);
        continue;
      }
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

  test('slashes that repeat are one', async (s) => {
    for (const path of ['//kv/get', '/kv//get', '///kv///get', '/%2fkv/get']) {
      const answer = await s.client.request({ path, body: JSON.stringify({ key: s.key('a') }) });
      // An escaped slash is no slash to some servers.
      if (path.includes('%') && (answer.status === 400 || answer.status === 404)) continue;
      assert.equal(answer.status, 200, `${path}: ${answer.body}`);
      assert.deepEqual(answer.json, { entry: null }, path);
    }
  });

  test('escapes that are none, dots, and what is not ASCII lead nowhere', async (s) => {
    s.deployment.expected.push(/AH10244: invalid URI path/);
    for (const path of ['/kv/get%', '/kv/get%zz', '/kv/%c3%a4', '/kv/get%2e', '/kv/get.', '/kv/get%20']) {
      const answer = await s.client.request({ path, body: JSON.stringify({ key: s.key('a') }) });
      assert.ok(answer.status === 404 || answer.status === 400, `${path}: ${answer.status} ${answer.body}`);
    }
    const there = await s.client.request({ path: '/kv/x/../get', body: JSON.stringify({ key: s.key('a') }) });
    assert.ok([200, 400, 404].includes(there.status), `${there.status} ${there.body}`);
  });
}

function headerCases(test) {
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

  const get = (s, headers) => s.client.request({ path: '/kv/get', body: JSON.stringify({ key: s.key('a') }), headers });

  test('Authorization comes through, and a refusal names the scheme', async (s) => {
    assert.equal((await get(s, { Authorization: `Bearer ${TOKEN}` })).status, 200);
    for (const headers of [{ Authorization: null }, { Authorization: 'Bearer no' }]) {
      const answer = await get(s, headers);
      s.isError(answer, 401, 'unauthorized', undefined, 'a request with a wrong token');
      assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer\b/);
    }
  });

  test('the token is also taken from X-KVS-Token', async (s) => {
    assert.equal((await get(s, { Authorization: null, 'X-KVS-Token': TOKEN })).status, 200);
    s.isError(await get(s, { Authorization: null, 'X-KVS-Token': 'no' }), 401, 'unauthorized', undefined, 'wrong');
  });
}

// A POST's head as it stands, without a word on a body.
const bareHead = (s, path, ...lines) =>
  [`POST ${s.client.mount}${path} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${TOKEN}`, ...lines, 'Connection: close', '', ''].join('\r\n');

function bodyCases(test) {
  test('an absent body is an empty one', async (s) => {
    await s.fails('/kv/get', undefined, 400, 'bad_json');
    assert.equal((await s.ok('/kv/clean-expired')).ok, true);
    // Not even a length of 0; a server may ask for one.
    const bare = await exchange(s.deployment, bareHead(s, '/kv/clean-expired'));
    assert.match(bare, s.lacks('absent length') ? /^HTTP\/1\.1 411 / : /^HTTP\/1\.[01] 200 [^]*"ok":true/);
  });

  test('1 MiB goes in and comes back byte for byte, as text and as bytes', async (s) => {
    const size = 1024 * 1024;
    const text = `"${'0123456789abcdé'.repeat(size / 16).slice(0, -15)}0123456789abcd"`;
    assert.equal(Buffer.byteLength(text), size);
    await s.setRaw(s.key('text'), text);
    assert.equal(await s.getRaw(s.key('text')), text);
    const bytes = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255));
    await s.ok('/kv/set', { key: s.key('bytes'), valueBase64: bytes.toString('base64') });
    const { valueBase64 } = await s.get(s.key('bytes'));
    assert.ok(Buffer.from(valueBase64, 'base64').equals(bytes));
    // They would slow down the cases behind: a search that passes a large value reads it.
    for (const name of ['text', 'bytes']) await s.ok('/kv/purge', { key: s.key(name) });
  });

  test('a chunked body is read like any other', async (s) => {
    const value = 'chunk '.repeat(20_000);
    const answer = await s.post('/kv/set', { key: s.key('a'), value }, { chunked: true });
    if (s.lacks('chunks')) {
      s.isError(answer, 400, 'bad_json', undefined, 'a chunked body');
      assert.equal(await s.get(s.key('a')), null);
      return;
    }
    assert.equal(answer.status, 200, `${answer.body}`);
    assert.equal((await s.get(s.key('a'))).value, value);
  });

  test('a body cut short by the client is not carried out', async (s) => {
    s.deployment.expected.push(...CUT_SHORT);
    const body = JSON.stringify({ key: s.key('cut'), value: 1 });
    await s.unchanged(async () => {
      const head = bareHead(s, '/kv/set', 'Content-Type: application/json', `Content-Length: ${body.length + 100}`);
      const text = await exchange(s.deployment, head + body, true);
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

function limitCases(test) {
  const LIMIT = 16 * 1024 * 1024;

  // The refusal; null where the server has lost it.
  async function tooLarge(s, refused) {
    try {
      return await refused;
    } catch (error) {
      if (s.lacks('early answers') && ['ECONNRESET', 'EPIPE'].includes(error.code)) return null;
      throw error;
    }
  }

  test('a body of exactly 16 MiB is taken', async (s) => {
    const body = JSON.stringify({ key: s.key('a'), value: 'whole' }).padEnd(LIMIT);
    assert.equal(body.length, LIMIT);
    assert.equal((await s.ok('/kv/set', body)).ok, true);
    assert.equal((await s.get(s.key('a'))).value, 'whole');
  });

  test('a body of one byte more is 413 too_large, names the limit and changes nothing', async (s) => {
    const body = JSON.stringify({ key: s.key('a'), value: 'over' }).padEnd(LIMIT + 1);
    await s.unchanged(async () => {
      const error = await tooLarge(s, s.fails('/kv/set', body, 413, 'too_large'));
      if (error) assert.match(error.message, /16777216|16 MiB/);
    });
  });

  test('a body far over the limit is 413 and the next request is served', async (s) => {
    const body = Buffer.alloc(LIMIT + 4 * 1024 * 1024, ' ');
    await tooLarge(s, s.fails('/kv/set', body, 413, 'too_large'));
    assert.equal(await s.get(s.key('a')), null);
  });
}

// So rare that heartbeats alone fill no buffer of a server that holds a stream back; so often that departed clients are noticed.
const RARE = 3000;

function streamCases(test) {
  const form = (events) => (events ? 'server-sent events' : 'lines');

  for (const events of [false, true]) {
    test(`a watch sends each change as it is made: ${form(events)}`, async (s) => {
      const bucket = await makeBucket(s);
      await s.set(['before'], 'é', { bucket });
      const sent = [];
      await watch(s, { bucket, heartbeat: RARE }, async (stream) => {
        assert.equal((await stream.initial())[0].entry.value, 'é');
        for (let i = 0; i < 5; i += 1) {
          const { revision } = await s.set(['k', i], i, { bucket });
          sent.push(revision);
          // The next one is written when this one is here: nothing waits for more to come.
          assert.equal((await stream.entries(1))[0].revision, revision);
        }
        assert.match(stream.headers['content-type'], events ? /^text\/event-stream/ : /^application\/x-ndjson/);
      }, { events });
      assert.deepEqual(sent, [2, 3, 4, 5, 6]);
    });
  }

  test('a watch by GET takes its names from the query, and resumes behind Last-Event-ID', async (s) => {
    const bucket = await makeBucket(s, { history: 10 });
    for (let i = 0; i < 4; i += 1) await s.set(['k'], i, { bucket });
    const options = { query: { bucket, key: '["k"]' }, events: true, headers: { 'Last-Event-ID': '2' } };
    await withStream(s, '/kv/watch', options, async (stream) => {
      assert.deepEqual((await stream.initial()).map(({ entry }) => entry.value), [2, 3]);
    });
  });

  test('a listen hands out a message as it is enqueued', async (s) => {
    const topic = s.topic();
    await withStream(s, '/queue/listen', { body: { topic, heartbeat: RARE } }, async (stream) => {
      for (let i = 0; i < 3; i += 1) {
        const id = await s.enqueue(topic, i);
        const { message } = await stream.expect('message');
        assert.deepEqual([message.id, message.payload], [id, i]);
        assert.deepEqual(await s.ok('/queue/ack', { id, lease: message.lease }), { ok: true });
      }
    });
  });

  test('a long poll is answered when something comes', async (s) => {
    const topic = s.topic();
    const waiting = s.dequeue(topic, { waitMs: 25_000 });
    const id = await s.enqueue(topic, 'late');
    assert.deepEqual((await waiting).map((one) => one.id), [id]);
  });

  test('heartbeats come through one by one', async (s) => {
    const bucket = await makeBucket(s);
    await watch(s, { bucket, heartbeat: 100 }, async (stream) => {
      await stream.initial();
      for (let i = 0; i < 3; i += 1) assert.equal((await stream.expect('heartbeat')).revision, 0);
    });
  });
}

export function cases(test) {
  healthCases(test);
  pathCases(test);
  headerCases(test);
  bodyCases(test);
  limitCases(test);
  streamCases(test);
}
