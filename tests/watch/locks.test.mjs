// Fifty clients contend for one lock while some of them crash: never two holders at once by fencing number, and no acquire
// waits for ever.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startDeployment } from '../http/lib/servers.mjs';
import { Session } from '../http/lib/session.mjs';

const SECONDS = process.env.KVS_LONG ? 60 : 6;
const CLIENTS = 50;
const TTL = 600;
const WAIT = 5000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The storage behind the lock: takes a write only with a number not below the highest it has seen.
class Guarded {
  highest = 0;
  refused = 0;

  write(fence) {
    if (fence < this.highest) {
      this.refused += 1;
      return false;
    }
    this.highest = fence;
    return true;
  }
}

describe('one lock, many clients', () => {
  let processes = [];
  before(async () => {
    const first = await startDeployment('nginx-fastcgi');
    processes = [first, await startDeployment('nginx-fastcgi', { dbPath: first.dbPath })];
  });

  it(`${CLIENTS} clients for ${SECONDS} s, with crashes`, async (t) => {
    const held = []; // {fence, from, to}: certainly held between these moments
    const guarded = new Guarded();
    const end = Date.now() + SECONDS * 1000;
    let crashes = 0;
    let longest = 0;
    let empty = 0;
    const client = async (i) => {
      const s = new Session(processes[i % 2]);
      while (Date.now() < end) {
        const asked = Date.now();
        const got = await s.ok('/lock/acquire', { name: 'one', ttl: TTL, owner: `c${i}`, waitMs: WAIT });
        const from = Date.now();
        longest = Math.max(longest, from - asked);
        if (!got.ok) {
          empty += 1;
          continue;
        }
        // Held from the answer on, until release is sent or its time is over.
        const until = got.expiresAt;
        guarded.write(got.fence);
        await sleep(Math.random() * 8);
        if (Math.random() < 0.05) {
          crashes += 1;
          held.push({ fence: got.fence, from, to: Math.min(Date.now(), until) });
          continue; // gone without a word: the lock has to run out
        }
        const to = Math.min(Date.now(), until);
        held.push({ fence: got.fence, from, to });
        await s.ok('/lock/release', { name: 'one', token: got.token });
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
    assert.equal(new Set(held.map(({ fence }) => fence)).size, held.length, 'a fencing number came twice');
    held.sort((a, b) => a.fence - b.fence);
    for (let i = 1; i < held.length; i += 1) {
      const [before_, now] = [held[i - 1], held[i]];
      assert.ok(now.from >= before_.to, `${now.fence} was held from ${now.from}, ${before_.fence} to ${before_.to}`);
    }
    assert.equal(guarded.refused, 0, 'a holder came with a lower number than the one before');
    assert.ok(crashes > 0 && held.length > 20, `${crashes} crashes, ${held.length} acquisitions`);
    assert.ok(longest < WAIT + 5000, `an acquire waited ${longest} ms`);
    t.diagnostic(`${held.length} acquisitions, ${crashes} crashes, longest wait ${longest} ms, ${empty} waits in vain`);
  });

  it('stops without an unexpected line in any log', async () => {
    for (const deployment of [...processes].reverse()) assert.deepEqual(await deployment.stop(), []);
  });
  after(async () => {
    for (const deployment of [...processes].reverse()) await deployment.stop();
  });
});
