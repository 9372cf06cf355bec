// Histories of concurrent requests over two kvs.fcgi, kvs.cgi and kvs-maint on one database, all of which are killed and paused
// meanwhile: each history must have an order that explains it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { random } from '../lib/random.mjs';
import { checkHistory, show } from './lib/check.mjs';
import { Cluster } from './lib/cluster.mjs';
import { Faults } from './lib/faults.mjs';
import { Space } from './lib/space.mjs';
import { Workload, historyOf } from './lib/workload.mjs';

// A program killed while the leak sanitizer looks at its threads makes that say so on stderr.
process.env.ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:detect_leaks=0`;

const long = Boolean(process.env.KVS_LONG);
const seed = Number(process.env.KVS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const histories = Number(process.env.KVS_HISTORIES ?? (long ? 1000 : 100));
const TOGETHER = 50; // histories in one test
// cgi: how many requests go to kvs.cgi, a process each; faults: how many for a history, at the most.
const SIZE = long
  ? {
      requests: 1000,
      clients: 6,
      cgi: 8,
      keys: { register: 3, counter: 2, list: 3, pair: 4 },
      faults: { kills: 3, pauses: 6, commands: 4 },
    }
  : {
      requests: 80,
      clients: 4,
      cgi: 1,
      keys: { register: 2, counter: 1, list: 3, pair: 3 },
      faults: { kills: 1, pauses: 2, commands: 1 },
    };

// So many kills, pauses and commands, or fewer.
function chooseFaults(rng) {
  return Object.fromEntries(Object.entries(SIZE.faults).map(([kind, most]) => [kind, rng.below(most + 1)]));
}

// All entries that the bucket keeps of a history's keys.
async function keptEntries(cluster, bucket, space) {
  const entries = [];
  for (let cursor; cursor !== null;) {
    const page = await cluster.store.ok('/kv/history', {
      bucket,
      filter: `h.${space.title}.>`,
      limit: 1000,
      ...(cursor && { cursor }),
    });
    entries.push(...historyOf(space, page.entries));
    cursor = page.cursor;
  }
  return entries;
}

// A history's own seed: as that of a run, it gives the history as the first.
const seedOf = (n) => seed + 1000 * n;

// One history, as check.mjs takes it.
async function makeHistory(cluster, n, totals) {
  const own = seedOf(n);
  const rng = random(own);
  const bucket = rng() < 0.5 ? 'kept' : 'default';
  cluster.choose(own + 100);
  const space = new Space(`n${n}`, SIZE.keys);
  const faults = new Faults(cluster, rng, SIZE.requests, chooseFaults(rng));
  const workload = new Workload(
    space,
    bucket,
    (...call) => cluster.call(...call),
    (at) => faults.begun(at),
  );
  const revision = async () => (await cluster.store.ok('/bucket/status', { name: bucket })).bucket.revision;
  const floor = await revision();
  const running = Array.from({ length: SIZE.clients }, (_, i) => workload.run(i, random(own + 1 + i), SIZE.requests));
  running.push(workload.run('cgi', random(own + 1 + SIZE.clients), SIZE.requests, SIZE.cgi));
  await Promise.all(running);
  await faults.over();
  await workload.last();
  totals.ops += workload.ops.length;
  totals.lost += workload.lost;
  totals.nothing += workload.nothing;
  const entries = bucket === 'kept' ? await keptEntries(cluster, bucket, space) : null;
  return { space, ops: workload.ops, floor, last: await revision(), entries };
}

function judge(history, n, totals) {
  const report = checkHistory(history);
  totals.configurations += report.configurations;
  totals.edges += report.edges;
  if (!report.problems.length) return;
  const all = history.ops.map(show).join('\n');
  assert.fail(
    `history ${n}, repeated by KVS_SEED=${seedOf(n)} KVS_HISTORIES=1:\n${report.problems.map(({ text }) => text).join('\n')}\nthe history:\n${all}`,
  );
}

function tell(t, { fcgi, cgi, maint, cgiCalls, maintCalls }, totals) {
  t.diagnostic(`seed ${seed}: ${totals.ops} operations, ${totals.lost} answers lost, ${totals.nothing} requests not done`);
  t.diagnostic(`kvs.fcgi killed ${fcgi.killed}, paused ${fcgi.paused} times`);
  t.diagnostic(`kvs.cgi run ${cgiCalls}, killed ${cgi.killed}, paused ${cgi.paused} times`);
  t.diagnostic(`kvs-maint run ${maintCalls}, killed ${maint.killed}, paused ${maint.paused} times`);
  t.diagnostic(`${totals.configurations} configurations searched; graphs of ${totals.edges} edges`);
}

describe(`histories of ${SIZE.requests} requests, seed ${seed}`, () => {
  const cluster = new Cluster();
  const totals = { ops: 0, lost: 0, nothing: 0, configurations: 0, edges: 0 };

  before(async () => {
    await cluster.start();
    await cluster.store.ok('/bucket/create', { name: 'kept', options: { history: 1000 } });
  });
  after(() => cluster.stop());

  for (let first = 0; first < histories; first += TOGETHER) {
    const end = Math.min(first + TOGETHER, histories);
    it(`histories ${first} to ${end - 1} have an order`, async (t) => {
      for (let n = first; n < end; n++) judge(await makeHistory(cluster, n, totals), n, totals);
      tell(t, cluster.tally, totals);
      assert.deepEqual(cluster.died, []);
      assert.ok(totals.ops > end * SIZE.requests * 0.5, 'most requests were answered');
    });
  }

  it('kvs-maint check finds no problem afterwards', async () => {
    const { code, out, err } = await cluster.store.maint(['check']);
    assert.equal(code, 0, `${out}${err}`);
  });
});
