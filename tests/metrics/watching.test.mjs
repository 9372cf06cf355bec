// The dashboard and the alerts of deploy/: every query is PromQL, and every series and label in it is one that a server under
// load really has on its page.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { parser } from '@prometheus-io/lezer-promql';
import YAML from 'yaml';

import { startDeployment } from '../http/lib/servers.mjs';
import { Session } from '../http/lib/session.mjs';
import { readMetrics } from './lib/format.mjs';

const DEPLOY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../deploy');
const read = (name) => fs.readFileSync(path.join(DEPLOY, name), 'utf8');
const PROMTOOL = '/usr/bin/promtool';
const FROM_PROMETHEUS = ['up', 'instance', 'job'];

const dashboard = JSON.parse(read('grafana/kvs.json'));
const { groups } = YAML.parse(read('prometheus/alerts.yml'));
const rules = groups.flatMap((group) => group.rules);

const variables = dashboard.templating.list.flatMap(({ name, query }) => (query.query ? [[`variable ${name}`, query.query]] : []));
const QUERIES = [
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [`panel ${title}`, expr])),
  ...rules.map(({ alert, expr }) => [`alert ${alert}`, expr]),
];

// The series and labels that a query names; throws where it is not PromQL.
function namesIn(query) {
  const text = query.replaceAll('$__rate_interval', '5m');
  const names = { series: [], labels: [] };
  parser.parse(text).iterate({
    enter({ type, from, to }) {
      assert.ok(!type.isError, `${query}: not PromQL at ${text.slice(from, to + 20)}`);
      if (type.name === 'Identifier') names.series.push(text.slice(from, to));
      if (type.name === 'LabelName') names.labels.push(text.slice(from, to));
    },
  });
  return names;
}

describe('what watches kvs', () => {
  let deployment = null;
  let page = null; // what is on it: sample name → labels
  let text = null;

  before(async () => {
    deployment = await startDeployment('nginx-fastcgi');
    const s = new Session(deployment);
    await s.set(s.key('a'), 1);
    await s.enqueue(s.oneTopic(), 1);
    await s.ok('/bucket/create', { name: 'mem', options: { storage: 'memory' } });
    await s.ok('/kv/set', { bucket: 'mem', key: ['a'], value: 1 });
    text = (await deployment.client.request({ method: 'GET', path: '/metrics' })).text;
    page = new Map();
    for (const { samples } of Object.values(readMetrics(text))) {
      for (const { name, labels } of samples) page.set(name, new Set([...(page.get(name) ?? []), ...Object.keys(labels)]));
    }
  });
  after(async () => {
    await deployment?.stop();
  });

  for (const [where, query] of QUERIES) {
    it(where, () => {
      const { series, labels } = namesIn(query);
      assert.ok(series.length > 0);
      const has = new Set(FROM_PROMETHEUS);
      for (const name of series) {
        assert.ok(page.has(name) || FROM_PROMETHEUS.includes(name), `there is no ${name}`);
        for (const label of page.get(name) ?? []) has.add(label);
      }
      for (const label of labels) assert.ok(has.has(label), `${label} is no label of ${series.join(', ')}`);
    });
  }

  it('the variables of the dashboard', () => {
    assert.ok(variables.length > 0);
    for (const [where, query] of variables) {
      const [, name] = /^label_values\((\w+), instance\)$/.exec(query);
      assert.ok(page.has(name), `${where}: there is no ${name}`);
    }
  });

  it('every series of the page is on the dashboard', () => {
    const shown = new Set(QUERIES.flatMap(([, query]) => namesIn(query).series));
    const families = Object.entries(readMetrics(text)).map(([name, { type }]) => (type === 'histogram' ? `${name}_bucket` : name));
    assert.deepEqual(families.filter((name) => !shown.has(name)), []);
  });

  it('every alert says what it is about, and has a line in doc/operations.md', () => {
    const operations = fs.readFileSync(path.join(DEPLOY, '../doc/operations.md'), 'utf8');
    for (const { alert, annotations, labels } of rules) {
      assert.ok(annotations.summary && labels.severity, alert);
      assert.ok(operations.includes(`\`${alert}\``), alert);
    }
  });

  it('legends and panels are in order', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const { title, targets } of dashboard.panels) {
      for (const { legendFormat, expr } of targets) {
        const known = new Set([...namesIn(expr).series].flatMap((name) => [...(page.get(name) ?? [])]));
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) assert.ok(known.has(label), `${title}: ${label}`);
      }
    }
  });

  describe('by promtool', { skip: fs.existsSync(PROMTOOL) ? false : 'promtool is not installed' }, () => {
    let dir = null;
    const promtool = (args, input = '') =>
      execFileSync(PROMTOOL, args, { cwd: dir, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
    before(() => {
      dir = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-prom-'));
      fs.cpSync(path.join(DEPLOY, 'prometheus'), dir, { recursive: true });
      fs.cpSync(new URL('alerts.test.yml', import.meta.url), path.join(dir, 'alerts.test.yml'));
      fs.writeFileSync(path.join(dir, 'kvs.token'), 'token\n');
    });
    after(() => fs.rmSync(dir, { recursive: true, force: true }));

    it('the page is sound', () => promtool(['check', 'metrics'], text));
    it('the configuration and the rules are valid', () => promtool(['check', 'config', 'prometheus.yml']));
    it('each alert fires when it should, and not before', () => promtool(['test', 'rules', 'alerts.test.yml']));
    it('each alert is tested', () => {
      const tested = YAML.parse(fs.readFileSync(path.join(dir, 'alerts.test.yml'), 'utf8')).tests.flatMap(({ alert_rule_test }) =>
        alert_rule_test.filter(({ exp_alerts }) => exp_alerts.length > 0).map(({ alertname }) => alertname),
      );
      assert.deepEqual([...new Set(tested)].sort(), rules.map(({ alert }) => alert).sort());
    });
  });

  it('the server stops without an unexpected line in any log', async () => assert.deepEqual(await deployment.stop(), []));
});
