// GET /metrics: the format of Prometheus, read strictly, and numbers that agree with what was done; under load as well.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { newTokens } from './lib/tokens.mjs';
import { startDeployment } from './lib/servers.mjs';
import { Session } from './lib/session.mjs';

const SAMPLE = /^([a-z_]+)(?:\{(.*)\})? (-?[0-9]+(?:\.[0-9]+)?)$/;
const LABEL = /([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

function readLabels(text) {
  const labels = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const found = LABEL.exec(text);
    assert.ok(found, `labels ${text} at ${at}`);
    const [, name, value] = found;
    assert.ok(!(name in labels), text);
    labels[name] = value.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
  }
  return labels;
}

// The text as {name: {type, samples: [{labels, value}]}}; throws where it is not well-formed.
function readMetrics(text) {
  const found = {};
  let current = null;
  assert.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment;
      if (kind === 'HELP') {
        assert.ok(!(name in found), `${name} stands in two places`);
        found[name] = { samples: [] };
        current = name;
      } else {
        assert.equal(name, current);
        assert.match(rest, /^(counter|gauge)$/);
        found[name].type = rest;
      }
      continue;
    }
    const sample = SAMPLE.exec(line);
    assert.ok(sample, line);
    assert.equal(sample[1], current, 'a sample below another name');
    assert.equal(found[current].type === 'counter', current.endsWith('_total'), current);
    found[current].samples.push({ labels: readLabels(sample[2] ?? ''), value: Number(sample[3]) });
  }
  const seen = Object.entries(found).flatMap(([name, { samples }]) => samples.map((s) => name + JSON.stringify(s.labels)));
  assert.equal(new Set(seen).size, seen.length, 'a sample twice');
  return found;
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
      return (name, labels = {}) => {
        const fits = ({ labels: has }) => Object.entries(labels).every(([key, value]) => has[key] === value);
        return metrics[`kvs_${name}`]?.samples.filter(fits).map(({ value }) => value) ?? [];
      };
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
    assert.equal(m('info').length, 1);
    assert.ok(m('uptime_seconds')[0] >= 0);
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
    const seconds = since(is, 'request_seconds_total', { operation: '/kv/set', status: '2xx' });
    assert.ok(seconds > 0 && seconds < 60, `${seconds} s`);
    const commits = since(is, 'commits_total', { store: 'file' });
    assert.ok(commits >= 1 && commits <= since(is, 'commit_jobs_total', { store: 'file' }), `${commits} commits`);
    assert.ok(since(is, 'commit_jobs_total', { store: 'file' }) >= 7);
    assert.ok(since(is, 'commit_seconds_total', { store: 'file' }) > 0);
    assert.ok(is('wal_bytes', { store: 'file' })[0] > 0);
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

metricsOver('nginx-fastcgi', (test) => {
  contents(test);
  counts(test);
});
metricsOver('lighttpd-cgi', contents);
