// SIGTERM under load, straight on the socket of kvs.fcgi: every request whose connection stood gets a whole answer, what was
// acknowledged is there afterwards, what was refused is not, and the program is gone in time.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { it } from 'node:test';

import { random } from '../lib/random.mjs';
import { Store } from '../maint/lib/store.mjs';
import { Load, prepare } from './lib/load.mjs';
import { Patience } from './lib/patience.mjs';

const EXIT_MS = 5000;
const LATE = /.*stopped with requests that could not be answered in time\n/g;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGUSR1'];

const seed = Number(process.env.KVS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.env.KVS_ROUNDS ?? (process.env.KVS_LONG ? 200 : 4));

function asker(store) {
  return async (endpoint, body) => {
    try {
      return await store.request(endpoint, body);
    } catch (error) {
      return error.syscall === 'connect' ? 'refused' : { lost: error.message };
    }
  };
}

// One stop.  What it left is compared when it is served again; answers the load for that.
async function round(store, n, rng, before, totals) {
  const child = await store.serve();
  const ok = (endpoint, body) => store.ok(endpoint, body);
  if (before) await before.verify(ok);
  else await prepare(ok);
  const load = new Load(n, asker(store), rng);
  const done = load.run();
  await Promise.race([load.underWay, done]);
  const patience = new Patience();
  child.kill(SIGNALS[n % SIGNALS.length]);
  await child.closed;
  const ms = patience.end();
  load.isStarved = patience.isStarved;
  assert.ok(!fs.existsSync(store.socket), 'the socket is gone');
  assert.deepEqual([child.exitCode, child.signalCode], [0, null], `round ${n}: ${store.stderr}`);
  if (!load.isStarved) assert.ok(ms < EXIT_MS, `round ${n}: gone after ${ms} ms`);
  store.children.splice(0);
  await done;
  if (load.isStarved) {
    totals.starved = (totals.starved ?? 0) + 1;
    store.stderr = store.stderr.replace(LATE, '');
  }
  for (const [name, count] of Object.entries(load.counts)) totals[name] = (totals[name] ?? 0) + count;
  totals.slowest = Math.max(totals.slowest ?? 0, Math.round(ms));
  return load;
}

it(`${rounds} stops under load, seed ${seed}`, async (t) => {
  const store = new Store();
  const rng = random(seed);
  const totals = {};
  try {
    let load = null;
    for (let n = 0; n < rounds; n += 1) load = await round(store, n, rng, load, totals);
    await store.serve();
    await load.verify((endpoint, body) => store.ok(endpoint, body));
    t.diagnostic(`seed ${seed}: ${JSON.stringify(totals)}`);
    for (const name of ['answered', 'polls', 'streams']) assert.ok(totals[name] > 0, name);
  } catch (error) {
    t.diagnostic(store.stderr); // which must not hide what came first
    store.stderr = '';
    throw error;
  } finally {
    await store.stop();
    await store.remove();
  }
});
