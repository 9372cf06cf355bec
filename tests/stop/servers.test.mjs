// The same behind web servers: nginx, beside which kvs.fcgi has a socket of its own, and lighttpd, which starts the next
// kvs.fcgi on the socket that the last one leaves.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { processesBelow, startDeployment } from '../http/lib/servers.mjs';
import { Session } from '../http/lib/session.mjs';
import { random } from '../lib/random.mjs';
import { sleep } from '../maint/lib/store.mjs';
import { Load, prepare } from './lib/load.mjs';
import { Patience } from './lib/patience.mjs';

const EXIT_MS = 5000;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGUSR1'];

const seed = Number(process.env.KVS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.env.KVS_ROUNDS ?? (process.env.KVS_LONG ? 100 : 2));

// A server's own answer where nobody listens, and what it logs of that.  That a connection was cut is not among it.
const SERVERS = {
  'nginx-fastcgi': {
    isDown: (answer) => answer.status === 502,
    logged: [/connect\(\) to unix:.* failed/],
    stop: async (deployment, signal) => {
      const end = await deployment.stopFcgi(signal);
      return [end.code, end.signal];
    },
    again: (deployment) => deployment.startFcgi(),
  },
  // It starts the next one by itself, tries it a second later, and says of one that failed how it ended.  The program cannot keep it
  // from connecting up to its very end: who does so too late gets lighttpd's 500, and nothing was done.
  'lighttpd-fastcgi': {
    isDown: (answer) => /<title>50[03] /.test(String(answer.body)),
    logged: [
      /establishing connection failed: .*Connection refused/,
      /connect .*: Connection refused/,
      /backend error; we'll disable for/,
      /all handlers for .* are down/,
      /unexpected end-of-file \(perhaps the fastcgi process died\)/,
      /child exited: 0 /,
    ],
    stop: async (deployment, signal) => {
      const old = processesBelow(deployment.dir);
      assert.ok(old.length > 0);
      for (const pid of old) process.kill(pid, signal);
      while (processesBelow(deployment.dir).some((pid) => old.includes(pid))) await sleep(10);
      return [0, null]; // lighttpd logs how it ended
    },
    again: async (deployment) => assert.equal(await deployment.whenHealthy(), null),
  },
};

function asker(s, isDown) {
  return async (endpoint, body) => {
    try {
      const answer = await s.client.request({ path: endpoint, body: JSON.stringify(body) });
      return isDown(answer) ? 'refused' : answer;
    } catch (error) {
      return { lost: error.message };
    }
  };
}

async function stopOnce(deployment, server, load, signal) {
  const done = load.run();
  await Promise.race([load.underWay, done]);
  const patience = new Patience();
  const end = await server.stop(deployment, signal);
  const ms = patience.end();
  load.over();
  load.isStarved = patience.isStarved;
  assert.deepEqual(end, [0, null]);
  if (load.isStarved) deployment.expected.push(/could not be answered in time/);
  else assert.ok(ms < EXIT_MS, `${ms} ms`);
  await done;
  await server.again(deployment);
}

for (const [name, server] of Object.entries(SERVERS)) {
  describe(`kvs.fcgi stops behind ${name}`, () => {
    let deployment = null;
    before(async () => {
      deployment = await startDeployment(name);
      deployment.expected.push(...server.logged);
    });

    it(`${rounds} times, seed ${seed}`, async (t) => {
      const s = new Session(deployment);
      const ok = (endpoint, body) => s.ok(endpoint, body);
      const rng = random(seed);
      const totals = {};
      await prepare(ok);
      for (let n = 0; n < rounds; n += 1) {
        const load = new Load(n, asker(s, server.isDown), rng);
        await stopOnce(deployment, server, load, SIGNALS[n % SIGNALS.length]);
        await load.verify(ok);
        for (const [what, count] of Object.entries(load.counts)) totals[what] = (totals[what] ?? 0) + count;
      }
      t.diagnostic(`seed ${seed}: ${JSON.stringify(totals)}`);
    });

    it('leaves no unexpected line in any log', async () => {
      assert.deepEqual(await deployment.stop(), []);
    });

    after(() => deployment?.stop());
  });
}
