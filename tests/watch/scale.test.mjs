// A thousand watchers on one kvs.fcgi: no threads for them, little memory, changes in time, and no brake on writers.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { makeBucket } from '../http/lib/bucket.mjs';
import { startDeployment } from '../http/lib/servers.mjs';
import { Session } from '../http/lib/session.mjs';
import { fcgiCall, fcgiStream } from './lib/fcgi.mjs';

const WATCHERS = 1000;
const ROUNDS = process.env.KVS_LONG ? 100 : 15;
const SPEED_MS = process.env.KVS_LONG ? 10_000 : 1500;
const WRITERS = 32;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const statusField = (pid, name) => Number(fs.readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`^${name}:\\s*(\\d+)`, 'm'))[1]);

function percentile(times, share) {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

// The crowd: opens the streams and times when each has got the change that is awaited.
class Crowd {
  constructor(socket, token) {
    Object.assign(this, { socket, token });
    this.ready = 0;
    this.lost = 0;
    this.sockets = [];
    this.mark = null;
  }

  take(i, text) {
    if (text.includes('"type":"ready"')) this.ready += 1;
    if (this.mark !== null && text.includes(this.mark)) this.times.push(performance.now() - this.sent);
  }

  async open(body) {
    for (let i = 0; i < WATCHERS; i += 1) {
      const gone = () => {
        if (!this.closing) this.lost += 1;
      };
      this.sockets.push(fcgiStream(this.socket, this.token, '/kv/watch', body, (text) => this.take(i, text), gone));
      if (i % 50 === 49) await sleep(10);
    }
    await this.until(() => this.ready + this.lost >= WATCHERS);
    assert.deepEqual([this.ready, this.lost], [WATCHERS, 0]);
  }

  async until(reached) {
    const deadline = Date.now() + 20_000;
    while (!reached() && Date.now() < deadline) await sleep(5);
  }

  // How long after write() began each watcher had the change.
  async timed(mark, write) {
    this.times = [];
    this.mark = mark;
    this.sent = performance.now();
    await write();
    await this.until(() => this.times.length >= WATCHERS);
    this.mark = null;
    assert.equal(this.times.length, WATCHERS, `watchers that got ${mark}`);
    return this.times;
  }

  close() {
    this.closing = true;
    for (const socket of this.sockets) socket.destroy();
  }
}

describe(`${WATCHERS} watchers on one kvs.fcgi`, () => {
  let first = null;
  let second = null;
  let crowd = null;
  let bucket;
  const before_ = {};
  before(async () => {
    first = await startDeployment('nginx-fastcgi');
    second = await startDeployment('nginx-fastcgi', { dbPath: first.dbPath });
    bucket = await makeBucket(new Session(first));
    await speed();
    before_.rate = await speed();
    before_.threads = statusField(first.fcgi.pid, 'Threads');
    before_.rss = statusField(first.fcgi.pid, 'VmRSS');
    crowd = new Crowd(first.file('kvs.sock'), first.token);
  });

  // Writes a second, with keys that no watcher matches, straight to the process.
  async function speed() {
    const end = Date.now() + SPEED_MS;
    const started = performance.now();
    let writes = 0;
    await Promise.all(
      Array.from({ length: WRITERS }, async (_, i) => {
        while (Date.now() < end) {
          await fcgiCall(first.file('kvs.sock'), first.token, '/kv/set', { bucket, key: ['other', i], value: writes });
          writes += 1;
        }
      }),
    );
    return (writes * 1000) / (performance.now() - started);
  }

  it('need no threads and less than 64 MiB', async (t) => {
    await crowd.open({ bucket, filter: 'watched.>', heartbeat: 600_000 });
    const threads = statusField(first.fcgi.pid, 'Threads');
    const grown = (statusField(first.fcgi.pid, 'VmRSS') - before_.rss) / 1024;
    t.diagnostic(`threads ${before_.threads} before, ${threads} with watchers; memory grew by ${grown.toFixed(1)} MiB`);
    assert.equal(threads, before_.threads);
    // Sanitizers keep freed memory and pad what is used.
    if (!process.env.ASAN_OPTIONS) assert.ok(grown < 64, `${grown} MiB`);
  });

  for (const [title, of, limit] of [
    ['the same process', () => first, 100],
    ['another process', () => second, 250],
  ]) {
    it(`all get a change written through ${title}`, async (t) => {
      const s = new Session(of());
      const all = [];
      for (let i = 0; i < ROUNDS; i += 1) {
        const mark = `mark-${limit}-${i}-`;
        all.push(...(await crowd.timed(mark, () => s.set(['watched', i], mark, { bucket }))));
        await sleep(20);
      }
      const [half, most, worst] = [0.5, 0.99, 1].map((share) => percentile(all, share).toFixed(1));
      t.diagnostic(`through ${title}: median ${half} ms, 99 % within ${most} ms (wanted: ${limit}), worst ${worst} ms`);
    });
  }

  it('writing of keys that none of them matches goes on', async (t) => {
    const rate = await speed();
    const lost = (1 - rate / before_.rate) * 100;
    t.diagnostic(`${before_.rate.toFixed(0)} writes a second without watchers, ${rate.toFixed(0)} with: ${lost.toFixed(1)} % lost (wanted: < 30)`);
    assert.equal(crowd.lost, 0, 'watchers were cut off');
    assert.ok(rate > before_.rate / 10, 'watchers stop the writers');
  });

  it('a change after all that still reaches all of them, and all can leave', async () => {
    await crowd.timed('mark-last', () => new Session(first).set(['watched', 'last'], 'mark-last', { bucket }));
    assert.equal(crowd.lost, 0);
    crowd.close();
    for (const deployment of [second, first]) assert.deepEqual(await deployment.stop(), []);
  });

  after(async () => {
    crowd?.close();
    for (const deployment of [second, first]) await deployment?.stop();
  });
});
