// Many clients on one counter, over FastCGI and CGI at once, on one database file: the sum is exact and no client ever
// sees the store as busy.
// Runs alone: what it proves is how long a write waits.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startDeployment } from './lib/servers.mjs';
import { Session } from './lib/session.mjs';

const LONG = Boolean(process.env.KVS_LONG);
const CLIENTS = LONG ? 32 : 16;

describe('one database behind FastCGI and CGI at once', () => {
  let fastcgi = null;
  let cgi = null;
  before(async () => {
    fastcgi = await startDeployment('lighttpd-fastcgi');
    cgi = await startDeployment('lighttpd-cgi', { dbPath: fastcgi.dbPath });
  });

  // Half of the clients on each side; work(session, i) is one client's.
  const clients = (work) =>
    Array.from({ length: CLIENTS }, (_, i) => work(new Session(i % 2 === 0 ? fastcgi : cgi), i));

  // Sets the key to one more than it is, by check-and-set, until it is done; answers the number of tries.
  async function addByCheck(s, key, i) {
    for (let tries = 1; ; tries += 1) {
      const entry = await s.get(key);
      const value = (entry?.value ?? 0) + 1;
      const mutations = [{ type: 'set', key, value }];
      const check = i % 4 < 2 ? { version: entry?.version ?? null } : { revision: entry?.revision ?? null };
      const answer = await s.ok('/kv/atomic', { checks: [{ key, ...check }], mutations });
      if (answer.ok) return tries;
      assert.deepEqual(answer, { ok: false, failed: [0] });
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * Math.min(tries, 20)));
    }
  }

  it(`${CLIENTS} clients incrementing and ${CLIENTS} doing check-and-set end at the exact numbers`, async (t) => {
    const started = Date.now();
    const [sum, checked] = [['counter', 'sum'], ['counter', 'checked']];
    const INCREMENTS = LONG ? 25 : 6;
    const SETS = LONG ? 6 : 2;
    const revisions = new Set();
    const incrementing = clients(async (s) => {
      for (let n = 0; n < INCREMENTS; n += 1) revisions.add((await s.ok('/kv/increment', { key: sum })).revision);
    });
    let tries = 0;
    const checking = clients(async (s, i) => {
      for (let n = 0; n < SETS; n += 1) {
        const needed = await addByCheck(s, checked, i);
        tries += needed;
      }
    });
    await Promise.all([...incrementing, ...checking]);
    const s = new Session(cgi);
    assert.equal((await s.get(sum)).value, CLIENTS * INCREMENTS);
    assert.equal((await s.get(sum)).version, CLIENTS * INCREMENTS);
    assert.equal((await s.get(checked)).value, CLIENTS * SETS);
    assert.equal((await s.get(checked)).version, CLIENTS * SETS);
    assert.equal(revisions.size, CLIENTS * INCREMENTS, 'no two requests share a revision');
    const all = CLIENTS * (INCREMENTS + SETS);
    assert.equal((await s.set(['counter', 'end'], 0)).revision, all + 1, 'no revision was lost');
    t.diagnostic(`${all} writes, ${tries} tries of check-and-set, ${Date.now() - started} ms`);
  });

  it('no message is handed out twice to consumers on both sides, and none is lost', async () => {
    const topic = 'shared';
    const s = new Session(fastcgi);
    const messages = Array.from({ length: 300 }, (_, payload) => ({ topic, payload }));
    const { ids } = await s.ok('/queue/enqueue-many', { messages });
    const seen = [];
    const consumers = clients(async (own) => {
      for (;;) {
        const batch = await own.dequeue(topic, { limit: 3 });
        if (batch.length === 0) return;
        seen.push(...batch.map(({ id }) => id));
        const acks = batch.map(({ id, lease }) => ({ id, lease }));
        assert.deepEqual(await own.ok('/queue/ack-many', { acks }), { ok: batch.map(() => true) });
      }
    });
    await Promise.all(consumers);
    assert.deepEqual(seen.sort((a, b) => a - b), ids);
    const { ready, leased, dead } = await s.stats(topic);
    assert.deepEqual([ready, leased, dead], [0, 0, 0]);
  });

  it('a write on one side is seen by the next read on the other', async () => {
    const [one, two] = [new Session(fastcgi), new Session(cgi)];
    for (let i = 1; i <= 10; i += 1) {
      await one.set(['turn'], i);
      assert.equal((await two.get(['turn'])).value, i);
      await two.set(['turn'], -i);
      assert.equal((await one.get(['turn'])).value, -i);
    }
  });

  it('both stop without an unexpected line in any log', async () => {
    assert.deepEqual([...(await cgi.stop()), ...(await fastcgi.stop())], []);
  });

  after(async () => {
    await cgi?.stop();
    await fastcgi?.stop();
  });
});
