// Who may do what: every route with every scope and every place that a token can come from; tokens limited to buckets, keys
// and topics.  Takes about 15 s.  Runs on the plain build.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { newTokens } from './lib/tokens.mjs';
import { DEPLOYMENTS } from './lib/deployments.mjs';
import { startDeployment } from './lib/servers.mjs';
import { Session } from './lib/session.mjs';
import { tryStream } from './lib/stream.mjs';

const LONG = Boolean(process.env.KVS_LONG);
const SCOPES = ['metrics', 'read', 'write', 'admin'];
const table = fs.readFileSync(new URL('../../core/dispatch.c', import.meta.url), 'utf8');
const ROUTES = [...table.matchAll(/^ +\{"(\/[^"]+)",\s*([A-Z_| ]+),\s*SCOPE_([A-Z]+)/gm)].map(([, path, flags, scope]) => ({
  path,
  method: /\bOP_POST\b/.test(flags) ? 'POST' : 'GET',
  scope: scope.toLowerCase(),
}));

// From which server, with which headers, a token is taken.
const SOURCES = {
  Authorization: (token) => ({ Authorization: `Bearer ${token}` }),
  'Authorization in another case': (token) => ({ authorization: `bEARER ${token}` }),
  'X-KVS-Token': (token) => ({ Authorization: null, 'X-KVS-Token': token }),
  'X-KVS-Token beside another Authorization': (token) => ({ Authorization: 'Basic eDp5', 'X-KVS-Token': token }),
};

function covers(scope, needed) {
  if (needed === 'public') return true;
  if (needed === 'metrics' || scope === 'metrics') return scope === 'admin' || scope === needed;
  return SCOPES.indexOf(scope) >= SCOPES.indexOf(needed);
}

// A deployment with these tokens; as(name) is a session that uses one.
function withTokens(server, wanted, tests) {
  describe(`tokens over ${server}`, () => {
    const { tokens, sections } = newTokens(wanted);
    let deployment = null;
    before(async () => {
      deployment = await startDeployment(server, { mount: DEPLOYMENTS[server].mounts?.[0], sections });
    });
    const test = (title, run) => it(title, () => run(new Session(deployment), as));
    const as = (session, name) => {
      const other = new Session(deployment);
      other.space = session.space;
      const headers = { Authorization: `Bearer ${tokens[name]}` };
      other.client = { request: (options) => deployment.client.request({ ...options, headers }) };
      return other;
    };
    tests(test, tokens);
    it('stops without an unexpected line in any log', async () => assert.deepEqual(await deployment.stop(), []));
    after(async () => {
      await deployment?.stop();
    });
  });
}

function everyRoute(test, tokens) {
  const ask = (s, { method, path }, headers) =>
    // A field that no operation has: what is covered fails behind the scope, and nothing is written or held open.
    s.client.request({ method, path, body: method === 'GET' ? null : '{"x":0}', headers });

  for (const [source, headers] of Object.entries(SOURCES)) {
    for (const scope of SCOPES) {
      test(`every route, scope ${scope}, ${source}`, async (s) => {
        assert.ok(ROUTES.length > 40, `${ROUTES.length} routes`);
        for (const route of ROUTES) {
          const answer = await ask(s, route, headers(tokens[scope]));
          const what = `${route.path} answered ${answer.status} ${answer.body.subarray(0, 200)}`;
          if (covers(scope, route.scope)) {
            assert.equal(answer.status, route.method === 'GET' ? 200 : 400, what);
          } else {
            const { message } = s.isError(answer, 403, 'forbidden', undefined, what);
            assert.ok(message.includes(route.path) && message.includes(route.scope), what);
            assert.ok(!answer.text.includes(tokens[scope]), 'the token is in an answer');
          }
        }
      });
    }
  }

  test('no route but the public ones answers without a token, with a wrong one or one that has expired', async (s) => {
    const wrong = [
      { Authorization: null },
      { Authorization: 'Bearer ' },
      { Authorization: `Bearer ${tokens.admin}x` },
      { Authorization: null, 'X-KVS-Token': tokens.read.slice(0, -1) },
      { Authorization: `Bearer ${tokens.expired}` },
    ];
    for (const headers of wrong) {
      const answers = await Promise.all(ROUTES.map((route) => ask(s, route, headers)));
      answers.forEach((answer, i) => {
        if (ROUTES[i].scope === 'public') assert.equal(answer.status, 200, ROUTES[i].path);
        else s.isError(answer, 401, 'unauthorized', undefined, ROUTES[i].path);
      });
    }
  });

  test('the token does not count in the URL', async (s) => {
    const path = `/kv/watch?token=${tokens.admin}&access_token=${tokens.admin}`;
    const answer = await s.client.request({ method: 'GET', path, headers: { Authorization: null } });
    s.isError(answer, 401, 'unauthorized', undefined, path);
  });
}

const EVERY = {
  metrics: ['--scope', 'metrics'],
  read: [],
  write: ['--scope', 'write', '--expires', '2999-12-31'],
  admin: ['--scope', 'admin'],
  expired: ['--scope', 'admin', '--expires', '2020-02-29'],
};

// What a rewriting Apache leaves of the header, given to kvs.cgi as a server would.
const RENAMED = ['HTTP_AUTHORIZATION', 'REDIRECT_HTTP_AUTHORIZATION', 'REDIRECT_REDIRECT_HTTP_AUTHORIZATION', 'HTTP_X_KVS_TOKEN'];

describe('tokens in the variables of a CGI server', () => {
  const { tokens, sections } = newTokens(EVERY);
  const exec = promisify(execFile);
  let deployment = null;
  before(async () => {
    deployment = await startDeployment('lighttpd-cgi', { sections });
  });

  async function status(route, variables) {
    const { uid, gid } = deployment.user;
    const env = {
      ...deployment.environment(),
      GATEWAY_INTERFACE: 'CGI/1.1',
      REQUEST_METHOD: route.method,
      SCRIPT_NAME: '/kvs.cgi',
      PATH_INFO: route.path,
      ...(route.method === 'POST' ? { CONTENT_TYPE: 'application/json', CONTENT_LENGTH: '7' } : {}),
      ...variables,
    };
    const run = exec(deployment.file('bin/kvs.cgi'), [], { env, uid, gid });
    run.child.stdin.on('error', () => {}); // it need not read the body
    run.child.stdin.end(route.method === 'POST' ? '{"x":0}' : '');
    const { stdout } = await run;
    return Number(/^Status: ([0-9]+)/.exec(stdout)[1]);
  }

  for (const [n, variable] of RENAMED.entries()) {
    // Every scope in a long run; else one a variable, and all of them among the variables.
    const scopes = LONG ? SCOPES : [SCOPES[n]];
    it(`every route, scope ${scopes}, ${variable}`, async () => {
      for (const scope of scopes) {
        const value = variable === 'HTTP_X_KVS_TOKEN' ? tokens[scope] : `Bearer ${tokens[scope]}`;
        for (let i = 0; i < ROUTES.length; i += 8) {
          const some = ROUTES.slice(i, i + 8);
          const found = await Promise.all(some.map((route) => status(route, { [variable]: value })));
          const wanted = some.map((route) => (covers(scope, route.scope) ? (route.method === 'GET' ? 200 : 400) : 403));
          assert.deepEqual(found, wanted, `${scope}: ${some.map(({ path }) => path)}`);
        }
      }
    });
  }

  it('the first one that is set counts', async () => {
    const both = { HTTP_AUTHORIZATION: 'Bearer wrong', REDIRECT_HTTP_AUTHORIZATION: `Bearer ${tokens.admin}` };
    const [route] = ROUTES;
    assert.equal(await status(route, both), 401);
    assert.equal(await status(route, { ...both, HTTP_AUTHORIZATION: '' }), 400);
    assert.equal(await status(route, { QUERY_STRING: `token=${tokens.admin}` }), 401);
  });

  after(async () => {
    await deployment?.stop();
  });
});

for (const server of LONG ? Object.keys(DEPLOYMENTS) : ['lighttpd-fastcgi']) {
  withTokens(server, EVERY, everyRoute);
}

const LIMITED = {
  bucket: ['--scope', 'write', '--bucket', 'orders', '--bucket', 'cart*'],
  keys: ['--scope', 'write', '--key', 'users.7', '--key', '["n",1]', '--bucket', 'default'],
  anywhere: ['--scope', 'write', '--key', 'users'],
  topics: ['--scope', 'write', '--topic', 'mail,log.*'],
  reader: ['--topic', '*', '--bucket', '*'],
  plain: [],
};

// For each route that takes a body one that it accepts.
const BODIES = {
  '/kv/get': { key: ['ro'] },
  '/kv/set': { key: ['ro'], value: 2 },
  '/queue/enqueue': { topic: 'ro', payload: 2 },
  '/queue/dequeue': { topic: 'ro' },
  '/queue/ack': { id: 1 },
  '/kv/atomic': { checks: [{ key: ['ro none'], version: null }] },
  '/kv/list': { limit: 1000 },
  '/kv/get-many': { keys: [['ro'], ['ro none']] },
  '/kv/delete': { key: ['ro'] },
  '/kv/create': { key: ['ro new'], value: 1 },
  '/kv/update': { key: ['ro new'], value: 2, version: 1 },
  '/kv/increment': { key: ['ro n'] },
  '/kv/touch': { key: ['ro n'], ttl: 60_000 },
  '/kv/purge': { key: ['ro n'] },
  '/kv/reset': {},
  '/kv/clean-expired': {},
  '/kv/keys': {},
  '/kv/history': { key: ['ro'] },
  '/kv/changes': { since: 0 },
  '/kv/watch': {},
  '/queue/listen': { topic: 'ro' },
  '/lock/acquire': { name: 'ro', ttl: 1000 },
  '/lock/renew': { name: 'ro', token: 'x', ttl: 1000 },
  '/lock/release': { name: 'ro', token: 'x' },
  '/bucket/create': { name: 'ro-made' },
  '/bucket/update': { name: 'ro-made', options: { history: 2 } },
  '/bucket/status': { name: 'default' },
  '/bucket/list': {},
  '/bucket/destroy': { name: 'ro-made' },
  '/bucket/purge': { name: 'default' },
  '/bucket/purge-deletes': { name: 'default', olderThan: 0 },
  '/queue/enqueue-many': { messages: [{ topic: 'ro', payload: 3 }] },
  '/queue/ack-many': { acks: [{ id: 1 }] },
  '/queue/nack': { id: 1 },
  '/queue/extend': { id: 1 },
  '/queue/dead': { topic: 'ro' },
  '/queue/redrive': { topic: 'ro' },
  '/queue/discard': { topic: 'ro' },
  '/queue/stats': {},
  '/queue/purge': { topic: 'ro' },
};

function limited(test, tokens) {
  const forbidden = (s, path, body, field) => s.fails(path, body, 403, 'forbidden', field);

  test('buckets: those named, whether or not they exist', async (s, as) => {
    for (const name of ['orders', 'cart', 'cart-2', 'other']) await s.ok('/bucket/create', { name });
    const b = as(s, 'bucket');
    for (const bucket of ['orders', 'cart', 'cart-2']) await b.ok('/kv/set', { bucket, key: ['a'], value: 1 });
    assert.match((await forbidden(b, '/kv/get', { bucket: 'other', key: ['a'] }, 'bucket')).message, /\bother\b/);
    await forbidden(b, '/kv/get', { key: ['a'] }, 'bucket');
    await forbidden(b, '/kv/get', { bucket: 'missing', key: ['a'] }, 'bucket');
    await forbidden(b, '/kv/atomic', { bucket: 'other', mutations: [] }, 'bucket');
    await forbidden(b, '/kv/changes', { bucket: 'order', since: 0 }, 'bucket');
    await forbidden(b, '/bucket/status', { name: 'other' }, 'name');
    await b.ok('/bucket/status', { name: 'orders' });
    const { buckets } = await b.ok('/bucket/list');
    assert.deepEqual(buckets.map(({ name }) => name).sort(), ['cart', 'cart-2', 'orders']);
    await forbidden(b, '/bucket/create', { name: 'orders' });
  });

  test('buckets alone: no topics, no locks', async (s, as) => {
    const b = as(s, 'bucket');
    await forbidden(b, '/queue/enqueue', { payload: 1 }, 'topic');
    await forbidden(b, '/queue/dequeue', { topic: 'mail' }, 'topic');
    await forbidden(b, '/lock/acquire', { name: 'l', ttl: 1000 });
    assert.deepEqual(await b.ok('/queue/stats', {}), { topics: {} });
  });

  test('keys: at and below a prefix, in every operation', async (s, as) => {
    const k = as(s, 'keys');
    const inside = [['users', '7'], ['users', '7', 'name'], ['n', 1, true]];
    const outside = [['users'], ['users', '70'], ['users', '7\u0000'], ['users', 7], ['n', 2], ['n'], ['z']];
    for (const key of inside) {
      await k.ok('/kv/set', { key, value: 1 });
      await k.ok('/kv/increment', { key });
      await k.ok('/kv/touch', { key, ttl: 0 });
      assert.equal((await k.get(key)).value, 2);
      await k.ok('/kv/atomic', { checks: [{ key, version: 2 }], mutations: [{ type: 'set', key, value: 3 }] });
      await k.ok('/kv/history', { key });
      await k.ok('/kv/changes', { since: 0, key });
    }
    for (const key of outside) {
      const bodies = { set: { value: 1 }, create: { value: 1 }, update: { value: 1, version: 1 }, touch: { ttl: 1 } };
      for (const op of ['get', 'set', 'create', 'update', 'delete', 'increment', 'touch', 'purge', 'history']) {
        await forbidden(k, `/kv/${op}`, { key, ...bodies[op] }, 'key');
      }
      await forbidden(k, '/kv/get-many', { keys: [inside[0], key] }, 'keys[1]');
      await forbidden(k, '/kv/changes', { since: 0, key }, 'key');
      await forbidden(k, '/kv/changes', { since: 0, keys: [inside[0], key] }, 'keys');
      await forbidden(k, '/kv/watch', { key }, 'key');
      await forbidden(k, '/kv/atomic', { checks: [{ key, version: 1 }] }, 'checks[0]');
      const mutations = [{ type: 'delete', key: inside[0] }, { type: 'delete', key }];
      await forbidden(k, '/kv/atomic', { mutations }, 'mutations[1]');
    }
    const { message } = await forbidden(k, '/kv/get', { key: ['users', 8] }, 'key');
    assert.ok(message.includes('["users",8]'), message);
    assert.ok(await k.get(['users', '7']), 'a refused operation took effect');
  });

  test('keys: ranges that lie below a prefix, and no others', async (s, as) => {
    const k = as(s, 'keys');
    for (let i = 0; i < 5; i += 1) await k.ok('/kv/set', { key: ['users', '7', 'r', i], value: i });
    const first = await k.ok('/kv/list', { prefix: ['users', '7', 'r'], limit: 2 });
    assert.equal(first.entries.length, 2);
    const next = await k.ok('/kv/list', { prefix: ['users', '7', 'r'], limit: 2, cursor: first.cursor });
    assert.deepEqual(next.entries.map(({ value }) => value), [2, 3]);
    await k.ok('/kv/list', { start: ['users', '7'], end: ['users', '7', 'z'] });
    await k.ok('/kv/list', { prefix: ['users', '7'], reverse: true });
    await k.ok('/kv/keys', { prefix: ['n', 1] });
    await k.ok('/kv/keys', { filter: 'users.7.>' });
    await k.ok('/kv/keys', { filter: ['users.7', 'users.7.r'] });
    await k.ok('/kv/changes', { since: 0, prefix: ['users', '7', 'r'] });
    await k.ok('/kv/purge', { prefix: ['users', '7', 'r'] });
    const bad = [{}, { prefix: [] }, { prefix: ['users'] }, { prefix: ['z'] }, { prefix: ['users', '70'] }];
    for (const body of bad) {
      await forbidden(k, '/kv/list', body);
      await forbidden(k, '/kv/keys', body);
      await forbidden(k, '/kv/changes', { since: 0, ...body });
      await forbidden(k, '/kv/watch', body);
      if (body.prefix) await forbidden(k, '/kv/purge', body);
    }
    for (const filter of ['*', '>', 'users.*', 'users.>', 'users.*.name', ['users.7', 'users.8']]) {
      for (const path of ['/kv/keys', '/kv/history', '/kv/watch']) await forbidden(k, path, { filter });
    }
    await forbidden(k, '/kv/list', { start: ['users', '7'] });
    await forbidden(k, '/kv/list', { end: ['users', '7', 'z'] });
  });

  test('keys without buckets hold in every bucket', async (s, as) => {
    await s.ok('/bucket/create', { name: 'another' });
    const a = as(s, 'anywhere');
    await a.ok('/kv/set', { bucket: 'another', key: ['users', 1], value: 1 });
    await forbidden(a, '/kv/get', { bucket: 'another', key: ['user'] }, 'key');
    await forbidden(a, '/queue/dequeue', {}, 'topic');
  });

  test('topics: those named, in every operation and by message', async (s, as) => {
    const t = as(s, 'topics');
    for (const topic of ['mail', 'log.', 'log.a']) await t.ok('/queue/enqueue', { topic, payload: 1 });
    for (const topic of [undefined, 'mails', 'log', 'other']) {
      await forbidden(t, '/queue/enqueue', { topic, payload: 1 }, 'topic');
      await forbidden(t, '/queue/enqueue-many', { messages: [{ topic: 'mail', payload: 1 }, { topic, payload: 1 }] }, 'topic');
      await forbidden(t, '/queue/dequeue', { topic }, 'topic');
      await forbidden(t, '/queue/listen', { topic }, 'topic');
      if (!topic) continue;
      for (const op of ['dead', 'redrive', 'discard', 'purge', 'stats']) {
        assert.ok((await forbidden(t, `/queue/${op}`, { topic }, 'topic')).message.includes(topic));
      }
    }
    const id = await s.enqueue('other', 1);
    const [{ lease }] = await s.dequeue('other');
    for (const op of ['ack', 'nack', 'extend']) await forbidden(t, `/queue/${op}`, { id, lease }, 'id');
    await forbidden(t, '/queue/ack-many', { acks: [{ id, lease }] }, 'id');
    assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: true });
    const [mine] = await t.dequeue('mail');
    assert.deepEqual(await t.ok('/queue/ack', { id: mine.id, lease: mine.lease }), { ok: true });
    assert.deepEqual(await t.ok('/queue/ack', { id: 999_999 }), { ok: false });
    assert.deepEqual(Object.keys((await t.ok('/queue/stats', {})).topics), ['log.', 'log.a']);
    await forbidden(t, '/kv/get', { key: ['a'] }, 'bucket');
    await forbidden(t, '/lock/acquire', { name: 'l', ttl: 1000 });
  });

  test('a read token sees a read-only store', async (s, as) => {
    const r = as(s, 'reader');
    await s.set(s.key('a'), 1);
    const before = await s.sent('/kv/list', {});
    const id = await s.enqueue('seen', 1);
    assert.equal((await r.get(s.key('a'))).value, 1);
    for (const { path, scope } of ROUTES.filter((route) => route.method === 'POST')) {
      if (scope !== 'read') await forbidden(r, path, { key: s.key('a'), value: 2, topic: 'seen', id, name: 'orders' });
    }
    assert.equal((await s.sent('/kv/list', {})).text, before.text);
    assert.equal((await s.stats('seen')).ready, 1);
  });

  test('a read token sees exactly a read-only store: all that can be read, and nothing that changes', async (s, as) => {
    const plain = as(s, 'plain');
    await s.set(['ro'], 1);
    await s.set(['ro gone'], 1);
    await s.ok('/kv/delete', { key: ['ro gone'] });
    await s.enqueue('ro', 1);
    const dump = async () => {
      const { user } = s.deployment;
      const command = s.deployment.file('bin/kvs-maint');
      const options = { env: s.deployment.environment(), uid: user.uid, gid: user.gid, maxBuffer: 1 << 26 };
      return (await promisify(execFile)(command, ['dump'], options)).stdout;
    };
    const shown = (answer) => answer.text.replace(/"oldestReadyMs":\d+/g, ''); // an age
    const before = await dump();
    const posts = ROUTES.filter(({ method }) => method === 'POST');
    assert.deepEqual(posts.map(({ path }) => path).sort(), Object.keys(BODIES).sort());
    for (const { path, scope } of posts) {
      if (path === '/kv/watch') continue;
      const answer = await plain.post(path, BODIES[path]);
      if (scope !== 'read') s.isError(answer, 403, 'forbidden', undefined, path);
      else assert.deepEqual([path, answer.status, shown(answer)], [path, 200, shown(await s.sent(path, BODIES[path]))]);
    }
    const seen = [];
    for (const token of [tokens.plain, s.deployment.token]) {
      const watch = await tryStream(s, '/kv/watch', { headers: { Authorization: `Bearer ${token}` } });
      seen.push(await watch.initial());
      watch.close();
    }
    assert.ok(seen[0].length > 1);
    assert.deepEqual(seen[0], seen[1]);
    assert.equal(await dump(), before, 'a read token changed something');
    // What was refused was refused for its scope alone.
    for (const { path, scope } of posts) {
      if (scope !== 'read' && path !== '/queue/listen') await s.sent(path, BODIES[path]);
    }
  });

  test('a failed login is answered late, and holds nobody else up', async (s) => {
    const started = performance.now();
    const failed = Array.from({ length: 20 }, () =>
      s.client.request({ path: '/kv/get', body: '{}', headers: { Authorization: 'Bearer wrong' } }),
    );
    await s.get(s.key('a'));
    const others = performance.now() - started;
    for (const answer of await Promise.all(failed)) s.isError(answer, 401, 'unauthorized', undefined, 'a wrong token');
    const late = performance.now() - started;
    assert.ok(late >= 240, `${late} ms`);
    assert.ok(others < late, `${others} ms beside ${late} ms`);
    const none = performance.now();
    await s.client.request({ path: '/kv/get', body: '{}', headers: { Authorization: null } });
    assert.ok(performance.now() - none < 240, 'no token at all is not a login');
  });
}

withTokens('lighttpd-fastcgi', LIMITED, limited);
