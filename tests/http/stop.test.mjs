// Stopping under load: every answer is whole, every acknowledged write is there afterwards, the program is gone in time.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startDeployment } from './lib/servers.mjs';
import { Session } from './lib/session.mjs';

const CLIENTS = 12;
const EXIT_MS = 5000;

// Writes without end until the server is gone; answers the keys that were acknowledged.
async function write(s, i) {
  const acknowledged = [];
  for (let n = 0; ; n += 1) {
    const key = s.key(i, n);
    const body = JSON.stringify({ key, value: 'v'.repeat(3000) });
    const answer = await s.client.request({ path: '/kv/set', body });
    if (answer.status === 502) return acknowledged; // nginx: nobody listens any more
    if (answer.status === 503) {
      s.isError(answer, 503, 'stopping', undefined, 'a write during the stop');
      assert.match(answer.headers['retry-after'] ?? '', /^\d+$/);
      return acknowledged;
    }
    assert.equal(answer.status, 200, `${answer.status} ${answer.body}`);
    assert.equal(s.checked('/kv/set', answer).json.ok, true);
    acknowledged.push(key);
  }
}

describe('kvs.fcgi stops under load', () => {
  let deployment = null;
  before(async () => {
    deployment = await startDeployment('nginx-fastcgi');
    deployment.expected.push(/connect\(\) to unix:.* failed/);
    deployment.expected.push(/recv\(\) failed \(104: Connection reset by peer\) while reading response header/);
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1']) {
    it(`${signal}: no answer is cut, what was acknowledged is there, it exits with 0 within 5 s`, async (t) => {
      const s = new Session(deployment);
      const clients = Array.from({ length: CLIENTS }, (_, i) => write(s, i));
      await new Promise((resolve) => setTimeout(resolve, 300));
      const end = await deployment.stopFcgi(signal);
      assert.deepEqual([end.code, end.signal], [0, null]);
      assert.ok(end.ms < EXIT_MS, `${end.ms} ms`);
      const acknowledged = (await Promise.all(clients)).flat();
      await deployment.startFcgi();
      assert.ok(acknowledged.length > 0);
      for (let at = 0; at < acknowledged.length; at += 1000) {
        const { entries } = await s.ok('/kv/get-many', { keys: acknowledged.slice(at, at + 1000) });
        assert.ok(entries.every((entry) => entry !== null), 'an acknowledged write is lost');
      }
      t.diagnostic(`${acknowledged.length} writes acknowledged, gone after ${Math.round(end.ms)} ms`);
    });
  }

  it('leaves no unexpected line in any log', async () => {
    assert.deepEqual(await deployment.stop(), []);
  });

  after(async () => {
    await deployment?.stop();
  });
});
