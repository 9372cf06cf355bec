// Real input: every record of the distribution's own package index through the HTTP API.
//
//   node tests/real/index.mjs [--small] [--deployment NAME]
//
// Loads each record as ["pkg", SECTION, NAME] with all its fields as an object, in atomic batches; reads every one back and
// compares byte for byte; pages through every section with list; enqueues a job a section and empties the queue with two
// consumers.  Prints counts and rates as TAP.  --small takes the first 3,000 records.  The package lists must be there
// (apt-get update).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import readline from 'node:readline';
import { parseArgs } from 'node:util';

import { readJson } from '../http/lib/json.mjs';
import { startDeployment } from '../http/lib/servers.mjs';
import { Session } from '../http/lib/session.mjs';

const SMALL = 3000;
const BATCH = 500;
const BATCH_BYTES = 4 * 1024 * 1024;
const TOPIC = 'sections';

// The stanzas of the index as objects of their fields, in order; continuation lines stay part of their field.
async function* records(limit) {
  const apt = spawn('apt-cache', ['dumpavail'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let fields = new Map();
  let last = null;
  let count = 0;
  const lines = readline.createInterface({ input: apt.stdout, crlfDelay: Infinity });
  for await (const line of lines) {
    if (line === '') {
      if (fields.size > 0) {
        yield fields;
        count += 1;
      }
      fields = new Map();
      if (count === limit) break;
    } else if (/^[ \t]/.test(line)) {
      fields.set(last, `${fields.get(last)}\n${line}`);
    } else {
      const colon = line.indexOf(':');
      last = line.slice(0, colon);
      fields.set(last, line.slice(colon + 1).trimStart());
    }
  }
  if (fields.size > 0 && count < limit) yield fields;
  apt.kill();
}

// The index in memory: what is sent, in order, and what must be there in the end.
async function readIndex(limit) {
  const sent = [];
  const stored = new Map(); // key as JSON → {key, text, times}
  for await (const fields of records(limit)) {
    const key = ['pkg', fields.get('Section') ?? 'unknown', fields.get('Package')];
    const text = JSON.stringify(Object.fromEntries(fields));
    const id = JSON.stringify(key);
    sent.push({ id, text });
    // A package that two archives hold is set twice; the later record stays.
    stored.set(id, { key, text, times: (stored.get(id)?.times ?? 0) + 1 });
  }
  return { sent, stored };
}

class Tap {
  constructor() {
    this.count = 0;
    this.failed = 0;
  }

  async check(name, act) {
    this.count += 1;
    const started = performance.now();
    try {
      const done = await act();
      const seconds = (performance.now() - started) / 1000;
      process.stdout.write(`ok ${this.count} - ${name}\n`);
      if (done !== undefined) {
        const rate = Math.round(done.count / seconds);
        process.stdout.write(`# ${done.count} ${done.what} in ${seconds.toFixed(2)} s, ${rate} a second${done.more ?? ''}\n`);
      }
    } catch (error) {
      this.failed += 1;
      const text = String(error.stack ?? error).replaceAll('\n', '\n# ');
      process.stdout.write(`not ok ${this.count} - ${name}\n# ${text}\n`);
    }
  }
}

async function load(s, sent) {
  let batches = 0;
  let bytes = 0;
  for (let at = 0; at < sent.length; ) {
    const mutations = [];
    let size = 0;
    for (; at < sent.length && mutations.length < BATCH && size < BATCH_BYTES; at += 1) {
      const { id, text } = sent[at];
      mutations.push(`{"type":"set","key":${id},"value":${text}}`);
      size += mutations.at(-1).length;
    }
    const answer = await s.ok('/kv/atomic', `{"mutations":[${mutations.join(',')}]}`);
    assert.equal(answer.ok, true);
    assert.equal(answer.results.length, mutations.length);
    batches += 1;
    bytes += size;
  }
  return { count: sent.length, what: 'records', more: `; ${batches} batches, ${(bytes / 1e6).toFixed(1)} MB` };
}

async function readBack(s, stored) {
  const all = [...stored.values()];
  for (let at = 0; at < all.length; at += BATCH) {
    const part = all.slice(at, at + BATCH);
    const answer = await s.sent('/kv/get-many', { keys: part.map(({ key }) => key) });
    const entries = readJson(answer.text).members.get('entries').items.map((item) => item.members);
    assert.equal(entries.length, part.length);
    for (const [i, { key, text, times }] of part.entries()) {
      assert.equal(entries[i].get('key').raw, JSON.stringify(key));
      assert.equal(entries[i].get('value').raw, text, JSON.stringify(key));
      assert.equal(entries[i].get('version').raw, String(times), JSON.stringify(key));
    }
  }
  return { count: all.length, what: 'records compared byte for byte' };
}

async function pageSections(s, sections) {
  let pages = 0;
  let count = 0;
  for (const [section, names] of sections) {
    const seen = [];
    let cursor = null;
    do {
      const page = await s.ok('/kv/list', { prefix: ['pkg', section], limit: 250, cursor });
      seen.push(...page.entries.map(({ key }) => key[2]));
      cursor = page.cursor;
      pages += 1;
    } while (cursor !== null);
    // Package names are ASCII, whose order of UTF-16 units is that of bytes.
    assert.deepEqual(seen, [...names].sort(), section);
    count += seen.length;
  }
  return { count, what: 'records listed', more: `; ${sections.size} sections, ${pages} pages` };
}

async function enqueueJobs(s, sections) {
  const messages = [...sections.keys()].map((section) => ({ topic: TOPIC, payload: { section } }));
  const { ids } = await s.ok('/queue/enqueue-many', { messages });
  assert.equal(new Set(ids).size, sections.size);
  return { count: ids.length, what: 'jobs enqueued' };
}

// One consumer: counts the packages of each section it is given and commits the result together with the ack.
async function consume(s, done) {
  for (;;) {
    const [job] = await s.dequeue(TOPIC);
    if (job === undefined) return;
    const { section } = job.payload;
    const count = (await s.keysBelow(['pkg', section], { limit: 1000 })).length;
    const answer = await s.ok('/kv/atomic', {
      checks: [{ key: ['count', section], version: null }],
      mutations: [{ type: 'set', key: ['count', section], value: count }],
      acks: [{ id: job.id, lease: job.lease }],
    });
    assert.equal(answer.ok, true, `${section} was counted twice`);
    done.push(section);
  }
}

async function workJobs(deployment, sections) {
  const done = [[], []];
  await Promise.all(done.map((list) => consume(new Session(deployment), list)));
  assert.equal(done.flat().length, sections.size);
  const s = new Session(deployment);
  const { entries } = await s.ok('/kv/list', { prefix: ['count'], limit: 1000 });
  assert.equal(entries.length, sections.size);
  for (const { key, value } of entries) assert.equal(value, sections.get(key[1]).size, key[1]);
  assert.deepEqual(await s.dequeue(TOPIC), []);
  const { ready, delayed, leased, dead } = await s.stats(TOPIC);
  assert.deepEqual([ready, delayed, leased, dead], [0, 0, 0, 0]);
  return { count: sections.size, what: 'jobs done', more: `; by two consumers, ${done[0].length} and ${done[1].length}` };
}

const { values: options } = parseArgs({
  options: { small: { type: 'boolean' }, deployment: { type: 'string', default: 'lighttpd-fastcgi' } },
});
const tap = new Tap();
let index = null;
let deployment = null;
process.stdout.write('TAP version 13\n');
await tap.check('the package index is there', async () => {
  index = await readIndex(options.small ? SMALL : Infinity);
  assert.ok(index.sent.length >= (options.small ? SMALL : 50_000), `${index.sent.length} records: run apt-get update`);
  return { count: index.sent.length, what: 'records read', more: `; ${index.stored.size} keys` };
});
if (tap.failed === 0) {
  await tap.check(`${options.deployment} starts`, async () => {
    deployment = await startDeployment(options.deployment);
  });
}
if (tap.failed === 0) {
  const s = new Session(deployment);
  const sections = new Map();
  for (const { key } of index.stored.values()) {
    if (!sections.has(key[1])) sections.set(key[1], new Set());
    sections.get(key[1]).add(key[2]);
  }
  await tap.check('every record is loaded in atomic batches', () => load(s, index.sent));
  await tap.check('every record comes back byte for byte', () => readBack(s, index.stored));
  await tap.check('every section is listed whole and in order', () => pageSections(s, sections));
  await tap.check('a job a section is enqueued', () => enqueueJobs(s, sections));
  await tap.check('two consumers work the queue empty', () => workJobs(deployment, sections));
  await tap.check('the deployment stops without an unexpected log line', async () => {
    assert.deepEqual(await deployment.stop(), []);
  });
}
process.stdout.write(`1..${tap.count}\n`);
process.exitCode = tap.failed === 0 ? 0 : 1;
