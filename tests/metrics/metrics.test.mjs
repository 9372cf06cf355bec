// GET /metrics: the format of Prometheus, read strictly and by a public parser, and numbers that agree with what was done;
// under load as well, and with several processes behind one server.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import parsePublic from 'parse-prometheus-text-format';

import { startDeployment } from '../http/lib/servers.mjs';
import { Session } from '../http/lib/session.mjs';
import { newTokens } from '../http/lib/tokens.mjs';
import { readMetrics } from './lib/format.mjs';

// The public parser reads the same (it leaves out the labels of histograms, of which it shows that they are ones).
function agrees(metrics, text) {
  const theirs = parsePublic(text);
  assert.deepEqual(theirs.map(({ name, type }) => [name, type.toLowerCase()]), Object.entries(metrics).map(([name, { type }]) => [name, type]));
  for (const { name, metrics: samples } of theirs) {
    if (metrics[name].type === 'histogram') continue;
    const read = samples.map(({ labels = {}, value }) => ({ labels, value: Number(value) }));
    assert.deepEqual(read, metrics[name].samples.map(({ labels, value }) => ({ labels, value })), name);
  }
}

function metricsOver(server, tests) {
  describe(`metrics over ${server}`, () => {
    const { tokens, sections } = newTokens({ metrics: ['--scope', 'metrics'] });
    let deployment = null;
    before(async () => {
      deployment = await startDeployment(server, { sections });
    });
    const scrape = async () => {
      const headers = { Authorization: `Bearer ${tokens.metrics}` };
      const answer = await deployment.client.request({ method: 'GET', path: '/metrics', headers });
      assert.equal(answer.status, 200, answer.text);
      assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
      const metrics = readMetrics(answer.text);
      agrees(metrics, answer.text);
      const value = (name, labels = {}) => {
        const fits = ({ name: full, labels: has }) =>
          full === `kvs_${name}` && Object.entries(labels).every(([key, value]) => has[key] === value);
        const family = metrics[`kvs_${name}`] ?? metrics[`kvs_${name}`.replace(/_(bucket|sum|count)$/, '')];
        return family?.samples.filter(fits).map((one) => one.value) ?? [];
      };
      value.labels = (name) => metrics[`kvs_${name}`]?.samples.map(({ labels }) => labels) ?? [];
      return value;
    };
    tests((title, run) => it(title, () => run(new Session(deployment), scrape)));
    it('stops without an unexpected line in any log', async () => assert.deepEqual(await deployment.stop(), []));
    after(async () => {
      await deployment?.stop();
    });
  });
}

function contents(test) {
  test('buckets and topics: what they hold', async (s, scrape) => {
    const topic = 'a "quoted" \\ töpic';
    await s.ok('/bucket/create', { name: 'm', options: { history: 5 } });
    await s.ok('/bucket/create', { name: 'mem', options: { storage: 'memory' } });
    await s.ok('/kv/set', { bucket: 'mem', key: ['a'], value: 1 });
    for (const value of [1, 2, 3]) await s.ok('/kv/set', { bucket: 'm', key: ['a'], value });
    await s.ok('/kv/set', { bucket: 'm', key: ['b'], value: 1, ttl: 1 });
    for (const more of [{}, {}, {}, { delay: 600_000 }, { priority: 9, maxAttempts: 1 }]) await s.enqueue(topic, 1, more);
    const [{ id, lease }] = await s.dequeue(topic);
    await s.ok('/queue/nack', { id, lease });
    await s.dequeue(topic);
    await s.until('the expiry', async () => (await s.get(['b'], { bucket: 'm' })) === null);
    const { bucket } = await s.ok('/bucket/status', { name: 'm' });
    const m = await scrape();
    for (const name of ['keys', 'values', 'bytes', 'revision']) {
      assert.deepEqual(m(`bucket_${name}`, { bucket: 'm' }), [bucket[name]], name);
    }
    assert.deepEqual(m('bucket_keys', { bucket: 'mem' }), [1]);
    const states = ['ready', 'delayed', 'leased', 'dead'].map((state) => m('topic_messages', { topic, state })[0]);
    assert.deepEqual(states, [2, 1, 1, 1]);
    const [age] = m('topic_oldest_ready_seconds', { topic });
    assert.ok(age > 0 && age < 60, `${age} s`);
    assert.deepEqual(m('topics_cut'), [0]);
    assert.ok(m('database_bytes', { store: 'file' })[0] > 4096);
    assert.ok(m('wal_bytes', { store: 'file' })[0] > 0);
    assert.ok(m('wal_bytes', { store: 'memory' })[0] > 0);
  });
}

function counts(test) {
  test('requests, commits and those that wait are counted', async (s, scrape) => {
    const was = await scrape();
    const since = (is, name, labels) => (is(name, labels)[0] ?? 0) - (was(name, labels)[0] ?? 0);
    for (let i = 0; i < 7; i += 1) await s.set(s.key(i), i);
    await s.fails('/kv/set', {}, 400, 'bad_request');
    await s.post('/kv/none', {});
    const poll = s.ok('/queue/dequeue', { topic: s.topic(), waitMs: 3000 });
    const is = await s.until('the poll', async () => {
      const now = await scrape();
      return now('waiting', { kind: 'poll' })[0] === 1 ? now : null;
    });
    assert.equal(since(is, 'requests_total', { operation: '/kv/set', status: '2xx' }), 7);
    assert.equal(since(is, 'requests_total', { operation: '/kv/set', status: '4xx' }), 1);
    assert.equal(since(is, 'requests_total', { operation: 'other', status: '4xx' }), 1);
    const set = { operation: '/kv/set', status: '2xx' };
    const seconds = since(is, 'request_seconds_sum', set);
    assert.ok(seconds > 0 && seconds < 60, `${seconds} s`);
    assert.equal(since(is, 'request_seconds_count', set), 7);
    assert.equal(since(is, 'request_seconds_bucket', { ...set, le: '30.000000' }), 7);
    const file = { store: 'file' };
    const commits = since(is, 'commit_jobs_count', file);
    assert.ok(commits >= 1 && commits <= since(is, 'commit_jobs_sum', file), `${commits} commits`);
    assert.ok(since(is, 'commit_jobs_sum', file) >= 7);
    for (const name of ['commit_seconds', 'lock_wait_seconds']) assert.equal(since(is, `${name}_count`, file), commits, name);
    const syncs = since(is, 'commit_sync_seconds_count', file);
    assert.ok(syncs >= 1 && syncs <= commits, `${syncs} of ${commits}`); // what wrote nothing needs none
    const [sync, whole] = [since(is, 'commit_sync_seconds_sum', file), since(is, 'commit_seconds_sum', file)];
    assert.ok(sync > 0 && sync <= whole, `${sync} s of ${whole} s`);
    assert.equal(is('info').length, 1);
    assert.ok(is('uptime_seconds')[0] >= 0);
    await s.enqueue(s.oneTopic(), 1);
    assert.equal((await poll).messages.length, 1);
    await s.until('the end of the poll', async () => (await scrape())('waiting', { kind: 'poll' })[0] === 0);
  });

  test('under load every scrape is whole, and no counter goes back', async (s, scrape) => {
    let going = true;
    let written = 0;
    const worker = async (n) => {
      while (going) {
        await s.set(s.key('load', n), written);
        await s.enqueue(s.oneTopic(), n);
        written += 1;
      }
    };
    const workers = Array.from({ length: 16 }, (_, n) => worker(n));
    const set = { operation: '/kv/set', status: '2xx' };
    const first = (await scrape())('requests_total', set)[0] ?? 0;
    let last = first;
    try {
      for (let i = 0; i < 30; i += 1) {
        const [now] = (await scrape())('requests_total', set);
        assert.ok(now >= last, `${now} after ${last}`);
        last = now;
      }
    } finally {
      going = false;
      await Promise.all(workers);
    }
    const m = await scrape();
    assert.ok(m('requests_total', set)[0] > first);
    assert.deepEqual(m('topic_messages', { topic: s.oneTopic(), state: 'ready' }), [written]);
  });
}

// mod_fcgid starts a process for each request that finds the others busy.
function manyProcesses(test) {
  test('many processes: each tells of itself, all of the same store', async (s, scrape) => {
    const polls = Array.from({ length: 3 }, () => s.ok('/queue/dequeue', { topic: s.topic(), waitMs: 4000 }));
    const seen = new Map();
    await s.set(s.key('x'), 1);
    await s.until('scrapes that met two processes', async () => {
      const answers = await Promise.all([scrape(), scrape(), scrape()]);
      for (const m of answers) {
        const { process: pid } = m.labels('info')[0];
        assert.ok(Number(pid) > 1, pid);
        for (const name of ['requests_total', 'waiting', 'commit_jobs', 'uptime_seconds']) {
          for (const labels of m.labels(name)) assert.equal(labels.process, pid, name);
        }
        for (const name of ['bucket_keys', 'wal_bytes', 'database_bytes', 'topics_cut']) {
          for (const labels of m.labels(name)) assert.ok(!('process' in labels), name);
        }
        seen.set(pid, m('bucket_revision', { bucket: 'default' })[0]);
      }
      return seen.size >= 2;
    });
    assert.deepEqual(new Set(seen.values()).size, 1, 'what the store holds is the same for all');
    await Promise.all(polls);
  });
}

metricsOver('nginx-fastcgi', (test) => {
  contents(test);
  counts(test);
});
metricsOver('lighttpd-cgi', (test) => {
  contents(test);
  test('what a process counts is no news of one that ends', async (s, scrape) => {
    const m = await scrape();
    for (const name of ['info', 'requests_total', 'waiting', 'commit_jobs_count']) assert.deepEqual(m(name), [], name);
  });
});
metricsOver('apache-fcgid', manyProcesses);
