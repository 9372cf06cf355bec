// Four writers in two processes and one loop over CGI write while twenty watchers look on, some of them cut off at random
// and resumed: each ends with exactly the sequence that the store holds.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { makeBucket, pages } from '../http/lib/bucket.mjs';
import { startDeployment } from '../http/lib/servers.mjs';
import { Session } from '../http/lib/session.mjs';
import { tryStream } from '../http/lib/stream.mjs';

const SECONDS = process.env.KVS_LONG ? 30 : 4;
const WATCHERS = 20;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// One request: a key, several at once, or a deletion.  Keys are many enough that history keeps every value.
async function writeOnce(s, bucket, who, n) {
  const key = (i) => [who, (n * 7 + i) % 400];
  const kind = n % 5;
  if (kind < 2) return s.set(key(0), n, { bucket });
  if (kind === 2) return s.ok('/kv/delete', { bucket, key: key(-7) });
  const mutations = Array.from({ length: 2 + (n % 4) }, (_, i) => ({ type: 'set', key: key(i), value: [n, i] }));
  if (kind === 4) mutations.push({ type: 'delete', key: key(5) });
  return s.ok('/kv/atomic', { bucket, mutations });
}

class Watcher {
  constructor(s, bucket, cuts) {
    Object.assign(this, { s, bucket, cuts });
    this.entries = [];
    this.resumed = 0;
    this.done = false;
  }

  get last() {
    return this.entries.at(-1)?.revision ?? 0;
  }

  // What is known whole: the newest revision may lack some of its keys, unless a later one or a mark has come.
  drop() {
    const { last } = this;
    if (this.whole >= last) return last;
    while (this.entries.at(-1)?.revision === last) this.entries.pop();
    return this.last;
  }

  async run() {
    let since;
    while (!this.done) {
      const body = { bucket: this.bucket, ...(since === undefined ? { include: 'history' } : { since }) };
      const stream = await tryStream(this.s, '/kv/watch', { body });
      this.stream = stream;
      const until = this.cuts ? Date.now() + 30 + Math.random() * 600 : Infinity;
      await this.read(stream, until);
      stream.close();
      if (this.done) return;
      since = this.drop();
      this.resumed += 1;
    }
  }

  async read(stream, until) {
    while (!this.done && Date.now() < until) {
      let object;
      try {
        object = await stream.next({ heartbeats: true, ms: Math.max(1, Math.min(until - Date.now(), 200)) });
      } catch {
        continue; // nothing came yet
      }
      if (object === undefined) return;
      if (object.type === 'entry') this.entries.push(object.entry);
      else this.whole = object.revision;
      if (object.type === 'end') return;
    }
  }
}

describe('what watchers see while others write', () => {
  let processes = [];
  before(async () => {
    const first = await startDeployment('nginx-fastcgi');
    processes = [first];
    for (const name of ['nginx-fastcgi', 'lighttpd-cgi']) processes.push(await startDeployment(name, { dbPath: first.dbPath }));
  });

  it(`${WATCHERS} watchers end with exactly what the store holds, after ${SECONDS} s of writing`, async (t) => {
    const [one, two, cgi] = processes;
    const bucket = await makeBucket(new Session(one), { history: 1000 });
    const watchers = Array.from({ length: WATCHERS }, (_, i) => new Watcher(new Session(i % 2 ? two : one), bucket, i % 4 < 2));
    const running = watchers.map((watcher) => watcher.run());
    const end = Date.now() + SECONDS * 1000;
    let writes = 0;
    const writers = [one, one, two, two, cgi].map(async (deployment, i) => {
      const s = new Session(deployment);
      for (let n = 0; Date.now() < end; n += 1) {
        await writeOnce(s, bucket, `w${i}`, n);
        writes += 1;
        await sleep(process.env.KVS_LONG ? 4 : 1);
      }
    });
    await Promise.all(writers);
    const s = new Session(one);
    const held = await pages(s, '/kv/history', 'entries', { bucket, filter: '>', limit: 1000 });
    const top = held.at(-1).revision;
    const deadline = Date.now() + 20_000;
    const complete = (watcher) => watcher.last === top && watcher.entries.length >= held.length;
    while (!watchers.every(complete) && Date.now() < deadline) await sleep(20);
    for (const watcher of watchers) watcher.done = true;
    await Promise.all(running.map((run) => Promise.race([run, sleep(5000)])));
    const text = (entries) => entries.map(({ key, revision, operation, value }) => JSON.stringify([revision, key, operation ?? value]));
    const want = text(held);
    for (const [i, watcher] of watchers.entries()) {
      const got = text(watcher.entries);
      const at = want.findIndex((line, n) => line !== got[n]);
      assert.ok(at < 0, `watcher ${i} (${watcher.resumed} times resumed) has ${got[at]} instead of ${want[at]} at ${at}`);
      assert.equal(got.length, want.length, `watcher ${i}`);
    }
    const cut = watchers.filter(({ cuts }) => cuts).reduce((sum, { resumed }) => sum + resumed, 0);
    assert.ok(cut > 10 && writes > 50, `${cut} cuts, ${writes} writes`);
    t.diagnostic(`${writes} writes, ${held.length} entries, ${cut} times cut and resumed`);
  });

  it('stops without an unexpected line in any log', async () => {
    for (const deployment of [...processes].reverse()) assert.deepEqual(await deployment.stop(), []);
  });
  after(async () => {
    for (const deployment of [...processes].reverse()) await deployment.stop();
  });
});
