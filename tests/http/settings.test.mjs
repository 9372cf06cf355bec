// What depends on settings: maintenance by kvs.fcgi itself and by kvs-maint, the window of dedupeId, limits, CORS.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { startDeployment } from './lib/servers.mjs';
import { Session } from './lib/session.mjs';

const exec = promisify(execFile);

// Registers tests over one deployment with settings of its own.
function withSettings(title, settings, tests, name = 'lighttpd-fastcgi') {
  describe(title, () => {
    let deployment = null;
    before(async () => {
      deployment = await startDeployment(name, { settings });
    });
    tests((name, run) => it(name, () => run(new Session(deployment))));
    it('stops without an unexpected line in any log', async () => assert.deepEqual(await deployment.stop(), []));
    after(async () => {
      await deployment?.stop();
    });
  });
}

const marker = async (s, key) => (await s.get(key, { markers: true }))?.operation;

withSettings('maintenance inside kvs.fcgi', { maint_interval: 1 }, (test) => {
  test('expired entries become EXPIRE markers by themselves', async (s) => {
    await s.set(s.key('a'), 1, { ttl: 1 });
    await s.until('the marker', async () => (await marker(s, s.key('a'))) === 'EXPIRE');
    assert.deepEqual(await s.ok('/kv/clean-expired'), { ok: true, deleted: 0 });
  });

  test('live entries, messages and dead letters stay', async (s) => {
    const topic = s.topic();
    await s.set(s.key('a'), 1, { ttl: 600_000 });
    const dead = await s.enqueue(topic, 'dying', { maxAttempts: 1 });
    await s.take(topic, { leaseMs: 1 });
    const alive = await s.enqueue(topic, 'alive', { delay: 600_000 });
    await s.set(s.key('b'), 1, { ttl: 1 });
    await s.until('a run of maintenance', async () => (await marker(s, s.key('b'))) === 'EXPIRE');
    assert.equal((await s.get(s.key('a'))).value, 1);
    assert.deepEqual((await s.ok('/queue/dead', { topic })).messages.map(({ id }) => id), [dead]);
    assert.deepEqual(await s.ok('/queue/ack', { id: alive }), { ok: true });
  });
});

withSettings('kvs-maint beside kvs.fcgi', { maint_interval: 0 }, (test) => {
  const maint = (s, ...args) => {
    const { user } = s.deployment;
    const env = s.deployment.environment();
    return exec(s.deployment.file('bin/kvs-maint'), args, { env, uid: user.uid, gid: user.gid });
  };

  test('run turns expired entries into markers, of whichever process', async (s) => {
    await s.set(s.key('a'), 1, { ttl: 1 });
    await s.until('the expiry', async () => (await s.get(s.key('a'))) === null);
    assert.equal(await marker(s, s.key('a')), undefined);
    await maint(s, 'run');
    assert.equal(await marker(s, s.key('a')), 'EXPIRE');
  });

  test('check finds nothing wrong after all kinds of writes', async (s) => {
    const topic = s.topic();
    await s.set(s.key('a'), 1);
    await s.ok('/kv/delete', { key: s.key('a') });
    await s.ok('/kv/increment', { key: s.key('n') });
    await s.enqueue(topic, 1);
    await s.take(topic);
    await maint(s, 'check');
  });
});

withSettings('limits from the configuration', { max_body: 2000, max_value: 100, dedupe_window: 300 }, (test) => {
  test('max_value bounds values, bytes and payloads, inclusive', async (s) => {
    const text = (n) => 'x'.repeat(n - 2);
    await s.set(s.key('a'), text(100));
    assert.match((await s.fails('/kv/set', { key: s.key('a'), value: text(101) }, 413, 'too_large')).message, /\b100\b/);
    await s.ok('/kv/set', { key: s.key('a'), valueBase64: Buffer.alloc(100).toString('base64') });
    await s.fails('/kv/set', { key: s.key('a'), valueBase64: Buffer.alloc(101).toString('base64') }, 413, 'too_large');
    await s.enqueue(s.topic(), text(100));
    await s.fails('/queue/enqueue', { payload: text(101) }, 413, 'too_large');
  });

  test('max_body bounds the body, inclusive', async (s) => {
    const body = JSON.stringify({ key: s.key('a') });
    await s.ok('/kv/get', body.padEnd(2000));
    assert.match((await s.fails('/kv/get', body.padEnd(2001), 413, 'too_large')).message, /\b2000\b/);
  });

  test('a dedupeId is free again when its window is over', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 1, { dedupeId: 'd' });
    await s.ok('/queue/ack', { id });
    assert.equal((await s.ok('/queue/enqueue', { topic, payload: 2, dedupeId: 'd' })).duplicate, true);
    const next = await s.until('the end of the window', async () => {
      const answer = await s.ok('/queue/enqueue', { topic, payload: 2, dedupeId: 'd' });
      return answer.duplicate ? null : answer.id;
    });
    assert.notEqual(next, id);
  });
});

withSettings('dead_ttl', { dead_ttl: 1, maint_interval: 1 }, (test) => {
  test('maintenance drops dead letters of that age, and nothing else', async (s) => {
    const topic = s.topic();
    const id = await s.enqueue(topic, 1, { maxAttempts: 1 });
    await s.enqueue(topic, 2);
    await s.ok('/queue/dequeue', { topic });
    await s.ok('/queue/nack', { id });
    const counts = async () => (await s.ok('/queue/stats', { topic })).topics[topic];
    assert.equal((await counts()).dead, 1);
    await s.until('the end of its time', async () => (await counts()).dead === 0);
    assert.equal((await counts()).ready, 1);
  });
});

withSettings('allow_origin', { allow_origin: 'https://app.example' }, (test) => {
  const headers = {
    Origin: 'https://app.example',
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'authorization,content-type',
    Authorization: null,
  };

  test('OPTIONS answers a preflight without a token', async (s) => {
    const answer = await s.client.request({ method: 'OPTIONS', path: '/kv/get', headers });
    assert.ok(answer.status === 200 || answer.status === 204, `${answer.status}`);
    assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example');
    assert.match(answer.headers['access-control-allow-methods'], /\bPOST\b/);
    assert.match(answer.headers['access-control-allow-headers'], /authorization/i);
    assert.match(answer.headers['access-control-allow-headers'], /content-type/i);
  });

  test('answers and errors name the origin', async (s) => {
    const from = { Origin: 'https://app.example' };
    const ok = await s.client.request({ path: '/kv/get', body: JSON.stringify({ key: s.key('a') }), headers: from });
    assert.deepEqual([ok.status, ok.headers['access-control-allow-origin']], [200, 'https://app.example']);
    const refused = await s.client.request({ path: '/kv/get', body: '{}', headers: { ...from, Authorization: null } });
    assert.deepEqual([refused.status, refused.headers['access-control-allow-origin']], [401, 'https://app.example']);
  });

  test('another origin is granted nothing', async (s) => {
    const other = { ...headers, Origin: 'https://evil.example' };
    const answer = await s.client.request({ method: 'OPTIONS', path: '/kv/get', headers: other });
    assert.notEqual(answer.headers['access-control-allow-origin'], 'https://evil.example');
    assert.notEqual(answer.headers['access-control-allow-origin'], '*');
  });
});

withSettings(
  'the log over CGI alone',
  {},
  (test) => {
    test('stays short, though no process lives on to empty it', async (s) => {
      const value = 'x'.repeat(200_000);
      const sizes = [];
      for (let i = 0; i < 40; i += 1) {
        await s.set(s.key(i % 4), value);
        sizes.push(fs.statSync(`${s.deployment.dbPath}-wal`).size);
      }
      assert.ok(Math.max(...sizes) < 3 * 1024 * 1024, `${Math.max(...sizes)} bytes`);
    });
  },
  'lighttpd-cgi',
);

for (const [server, idOf] of [
  ['lighttpd-fastcgi', null],
  ['apache-cgid', null],
  ['nginx-fastcgi', 'given by nginx'],
]) {
  withSettings(`log lines about requests behind ${server}`, { log_level: 'debug', log_format: 'json' }, (test) => {
    const lines = (s) =>
      [...s.deployment.logs().matchAll(/\{"time":.*\}/g)].map(([line]) => JSON.parse(line.replaceAll('\\"', '"'))).filter((line) => line.request);

    test('each has a line with the id that its answer has', async (s) => {
      s.deployment.expected.push(/"level":"debug"|\\"level\\":\\"debug\\"/);
      const ids = [];
      for (const id of ['first-1', null]) {
        const headers = id === null ? {} : { 'X-Request-Id': id };
        const answer = await s.client.request({ path: '/kv/list', body: '{}', headers });
        assert.equal(answer.status, 200);
        ids.push(answer.headers['x-request-id']);
      }
      assert.equal(ids[0], 'first-1');
      assert.match(ids[1], idOf ? /^[0-9a-f]{32}$/ : /^[0-9a-f]{16}$/, idOf ?? 'made by kvs');
      for (const id of ids) {
        const found = await s.until('the line', async () => lines(s).find(({ request }) => request === id));
        assert.match(found.message, /^\/kv\/list: 200 in [0-9]+ us$/);
        assert.equal(found.level, 'debug');
      }
    });
  }, server);
}
