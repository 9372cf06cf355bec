// What hostile peers cost the others: the 99th percentile of well-behaved requests, with and without them in turns, so that
// whatever else the machine does hits both.  A figure and no judgement, for the large size only.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { Store, TOKEN } from '../maint/lib/store.mjs';
import { FcgiConnection } from '../watch/lib/fcgi.mjs';
import { Crowd } from './lib/crowd.mjs';

const ROUNDS = 8;
const REQUESTS = 2000; // a round and side
const CLIENTS = 4;

const CROWDS = {
  '1,000 half-open and slow connections': { silent: 200, halfHead: 200, halfBody: 200, slowHead: 200, slowBody: 200 },
  '20 that take back 50 requests a second each': { abort: 20 },
  '20 that open and leave 50 connections a second each': { leave: 20 },
  '100 deaf watches, and 10 deaf to a large answer': { deafWatch: 100, deafAnswer: 10 },
};

function percentile(times, share) {
  const sorted = times.toSorted ? times.toSorted((a, b) => a - b) : [...times].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)];
}

describe('what hostile peers cost others', { skip: !process.env.KVS_LONG && 'only in the large size' }, () => {
  let store;
  const good = [];

  // Each client asks one request after the other; milliseconds each took.
  async function measure() {
    const times = [];
    await Promise.all(
      good.map(async (client, i) => {
        for (let n = 0; n < REQUESTS / CLIENTS; n++) {
          const begin = performance.now();
          const [path, body] = n % 5 ? ['/kv/get', { key: ['good'] }] : ['/kv/set', { key: ['mine', i], value: n }];
          assert.equal((await client.call(path, body)).status, 200);
          times.push(performance.now() - begin);
        }
      }),
    );
    return times;
  }

  before(async () => {
    store = new Store();
    store.env.KVS_DURABILITY = 'relaxed';
    await store.serve();
    for (let i = 0; i < CLIENTS; i++) good.push(new FcgiConnection(store.socket, TOKEN));
    await good[0].call('/kv/set', { key: ['good'], value: 1 });
    for (let i = 0; i < 20; i++) await good[0].call('/kv/set', { key: ['loud', i], value: 'x'.repeat(100_000) });
    await measure();
  });

  for (const [name, kinds] of Object.entries(CROWDS)) {
    it(name, async (t) => {
      const [without, with_] = [[], []];
      const crowd = new Crowd(store.socket, TOKEN);
      for (let round = 0; round < ROUNDS; round++) {
        without.push(...(await measure()));
        for (const [kind, count] of Object.entries(kinds)) await crowd.open(kind, count);
        with_.push(...(await measure()));
        await crowd.leave();
      }
      await crowd.end();
      const [a, b] = [without, with_].map((times) => percentile(times, 0.99));
      const [c, d] = [without, with_].map((times) => percentile(times, 0.5));
      t.diagnostic(`99th percentile ${a.toFixed(2)} ms without, ${b.toFixed(2)} ms with: times ${(b / a).toFixed(2)} (wanted: at most 2)`);
      t.diagnostic(`median ${c.toFixed(2)} ms without, ${d.toFixed(2)} ms with`);
    });
  }

  after(async () => {
    for (const client of good) client.close();
    await store?.remove();
  });
});
