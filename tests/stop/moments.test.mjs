// SIGTERM in awkward moments, each by itself.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { listens } from '../lib/listens.mjs';
import { random } from '../lib/random.mjs';
import { Store, sleep } from '../maint/lib/store.mjs';
import { Load } from './lib/load.mjs';
import { Patience } from './lib/patience.mjs';
import { Kept, inPieces, readLate } from './lib/socket.mjs';

const EXIT_MS = 5000;
const LATE = /.*stopped with requests that could not be answered in time\n/g;
const LONG = Boolean(process.env.KVS_LONG);
const seed = Number(process.env.KVS_SEED ?? Math.floor(Math.random() * 2 ** 31));

// Answers whether the program had its share of the machine; where it had not, the test is left out.
async function ends(t, child, signals = ['SIGTERM']) {
  const patience = new Patience();
  for (const signal of signals) {
    child.kill(signal);
    await sleep(5);
  }
  await child.closed;
  const ms = patience.end();
  assert.deepEqual([child.exitCode, child.signalCode], [0, null]);
  if (patience.isStarved) {
    t.skip('the machine is too busy to tell');
    return false;
  }
  assert.ok(ms < EXIT_MS, `gone after ${ms} ms`);
  return true;
}

// The ticket of whoever holds the writer lock, or is next to; undefined where nobody does.
function ticketHeld(store) {
  const { ino } = fs.statSync(`${store.db}.lock`);
  const held = fs.readFileSync('/proc/locks', 'utf8').split('\n').filter((line) => line.includes(`:${ino} `) && !line.includes('->'));
  const tickets = held.filter((line) => / WRITE /.test(line)).map((line) => Number(line.split(/\s+/).at(-2)));
  return tickets.filter((ticket) => ticket >= 2 ** 40).sort((x, y) => x - y)[0];
}

// Whether SIGSTOP has reached every thread: until then one may still let go of the lock.
function standsStill(pid) {
  return fs.readdirSync(`/proc/${pid}/task`).every((task) => / T /.test(fs.readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8').split(')').at(-1)));
}

// A second server that was stopped (SIGSTOP) while it held the writer lock.
async function holder(store) {
  const other = await store.serve(store.path('other'));
  let on = true;
  const write = async (i) => {
    while (on) await store.request('/kv/set', { key: ['other', i], value: 1 }, store.path('other')).catch(() => {});
  };
  for (let i = 0; i < 3; i += 1) write(i);
  for (;;) {
    await sleep(5);
    other.kill('SIGSTOP');
    do await sleep(5);
    while (!standsStill(other.pid));
    const ticket = ticketHeld(store);
    // Another server lets go of its ticket soon, the one that stands still does not.
    if (ticket !== undefined) await sleep(500);
    if (ticket !== undefined && ticketHeld(store) === ticket) break;
    other.kill('SIGCONT');
  }
  on = false;
  return other;
}

// Makes each close() of a program take that long, from now on.
async function slowClose(pid, ms) {
  const strace = spawn('strace', ['-f', '-e', 'trace=close', '-e', `inject=close:delay_enter=${ms * 1000}`, '-o', '/dev/null', '-p', pid]);
  await new Promise((resolve) => strace.stderr.on('data', (text) => /attached/.test(text) && resolve()));
  return strace;
}

describe('kvs.fcgi is asked to stop', () => {
  let store = null;
  let fair = true; // where a test was left out, what the program said does not matter either
  const endsFairly = async (t, ...rest) => {
    fair = await ends(t, ...rest);
    return fair;
  };
  beforeEach(() => {
    store = new Store();
    fair = true;
  });
  afterEach(async () => {
    if (!fair) store.stderr = store.stderr.replace(LATE, '');
    for (const child of store.children) child.kill('SIGCONT');
    await store.remove();
  });

  const outcome = (promise) => promise.then((answer) => answer, (error) => (error.syscall === 'connect' ? 'refused' : { lost: error.message }));

  it('again and again while it stops', async (t) => {
    const child = await store.serve();
    const load = new Load(0, (endpoint, body) => outcome(store.request(endpoint, body)), random(seed));
    await store.ok('/bucket/create', { name: 'big' });
    load.reader = async () => {};
    const done = load.run();
    await Promise.race([load.underWay, done]);
    if (!(await endsFairly(t, child, ['SIGTERM', 'SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGTERM']))) return;
    await done;
    await store.serve();
    await load.verify((endpoint, body) => store.ok(endpoint, body));
  });

  it('while another process holds the writer lock', async (t) => {
    store.env.KVS_BUSY_TIMEOUT = '60000';
    const child = await store.serve();
    const other = await holder(store);
    const writes = Array.from({ length: 6 }, (_, i) => outcome(store.request('/kv/set', { key: ['mine', i], value: 1 })));
    const poll = outcome(store.request('/queue/dequeue', { topic: 'silent', waitMs: 25_000 }));
    await sleep(200);
    if (!(await endsFairly(t, child))) return;
    for (const answer of await Promise.all(writes)) {
      assert.equal(answer.status, 503, JSON.stringify(answer));
      assert.match(answer.json.error.code, /^(busy|stopping)$/);
    }
    // It may itself have had to wait for the lock.
    assert.match(String((await poll).status), /^(200|503)$/);
    other.kill('SIGCONT');
    const { keys } = await (await store.request('/kv/keys', { prefix: ['mine'] }, store.path('other'))).json;
    assert.deepEqual(keys, [], 'nothing of what was refused is there');
  });

  it('before it could open the database', async (t) => {
    store.env.KVS_BUSY_TIMEOUT = '60000';
    await store.serve();
    await holder(store);
    fs.rmSync(store.db); // who makes it anew waits for the lock
    const socket = store.path('third');
    const child = store.begin(socket);
    for (let i = 0; i < 400 && !(await listens(socket)); i += 1) await sleep(25);
    const asked = outcome(store.request('/kv/get', { key: ['k'] }, socket));
    if (!(await endsFairly(t, child))) return;
    assert.ok(!fs.existsSync(socket), 'its socket is gone');
    const answer = await asked;
    assert.ok(answer === 'refused' || answer.lost, JSON.stringify(answer));
  });

  it('before it has its socket, which somebody has who takes no more connections', async (t) => {
    const socket = store.path('full');
    const args = ['-e', "require('net').createServer().listen({ path: process.argv[1], backlog: 1 })", socket];
    const other = spawn(process.execPath, args, { stdio: 'ignore' });
    other.closed = new Promise((resolve) => other.on('close', resolve));
    store.children.push(other);
    for (let i = 0; i < 400 && !(await listens(socket)); i += 1) await sleep(25);
    other.kill('SIGSTOP');
    while (!standsStill(other.pid)) await sleep(5);
    const waiting = Array.from({ length: 8 }, () => net.connect(socket).on('error', () => {}));
    await sleep(100);
    const child = store.begin(socket);
    await Promise.race([child.closed, sleep(2 * EXIT_MS)]);
    assert.deepEqual([child.exitCode, child.signalCode], [1, null], 'it does not wait for a place there');
    assert.match(store.stderr, /another process serves it/);
    store.stderr = '';
    for (const one of waiting) one.destroy();
  });

  it('while it tidies up', async (t) => {
    store.env.KVS_MAINT_INTERVAL = '1';
    const child = await store.serve();
    for (let i = 0; i < 2; i += 1) {
      const mutations = Array.from({ length: 1000 }, (_, n) => ({ type: 'set', key: [i, n], value: n, ttl: 1 }));
      await store.ok('/kv/atomic', { mutations });
    }
    await sleep(900);
    if (!(await endsFairly(t, child))) return;
    assert.match((await store.maint(['check'])).out, /no problem found/);
  });

  it('in the middle of an operation that takes many transactions', async (t) => {
    const child = await store.serve();
    const batches = LONG ? 40 : 3; // a purge takes 50,000 keys at most
    for (let i = 0; i < batches; i += 1) {
      const mutations = Array.from({ length: 1000 }, (_, n) => ({ type: 'set', key: ['x', i, n], value: n }));
      await store.ok('/kv/atomic', { mutations });
    }
    const purge = outcome(store.request('/kv/purge', { prefix: ['x'] }));
    await sleep(20);
    if (!(await endsFairly(t, child))) return;
    const answer = await purge;
    t.diagnostic(`${answer.status} ${answer.text}`);
    if (answer.status === 200) assert.equal(answer.json.purged, 1000 * batches);
    else assert.deepEqual([answer.status, answer.json.error.code], [503, 'stopping']);
    assert.match((await store.maint(['check'])).out, /no problem found/);
  });

  it('while large answers are on their way to slow readers', async (t) => {
    const child = await store.serve();
    for (let i = 0; i < 4; i += 1) await store.ok('/kv/set', { key: [i], value: 'v'.repeat(900_000) });
    const late = [300, 600, null].map((ms) => readLate(store.socket, '/kv/list', { prefix: [] }, ms));
    await sleep(200);
    if (!(await endsFairly(t, child))) return;
    for (const answer of [await late[0], await late[1]]) assert.equal(answer?.json.entries.length, 4);
  });

  it('while requests come in slowly', async (t) => {
    const child = await store.serve();
    const value = 'v'.repeat(300_000);
    const slow = [50, 400, null].map((ms, i) => inPieces(store.socket, '/kv/set', { key: [i], value }, ms));
    await sleep(100);
    if (!(await endsFairly(t, child))) return;
    for (const answer of [await slow[0], await slow[1]]) assert.equal(answer?.status, 200);
    await slow[2];
    await store.serve();
    const { entries } = await store.ok('/kv/get-many', { keys: [[0], [1], [2]] });
    assert.deepEqual(entries.map((entry) => entry !== null), [true, true, false]);
  });

  it('while connections are kept for further requests', async (t) => {
    for (let round = 0; round < (LONG ? 100 : 2); round += 1) {
      const child = await store.serve();
      let answered = 0;
      const one = async (i) => {
        const kept = new Kept(store.socket);
        for (let n = 0; ; n += 1) {
          const answer = await kept.ask('/kv/get', { key: ['k', i, n] });
          if (answer === 'refused' || answer.status === 503) return kept.close();
          assert.equal(answer.status, 200, `round ${round}: ${JSON.stringify(answer)}`);
          answered += 1;
        }
      };
      const all = Promise.all(Array.from({ length: 8 }, (_, i) => one(i)));
      await sleep(60);
      if (!(await endsFairly(t, child))) return;
      store.children.splice(0);
      await all;
      assert.ok(answered > 0);
    }
  });

  it('while a request comes in the very moment in which its kept connection is closed', async (t) => {
    if (spawnSync('strace', ['-V']).error) return t.skip('strace is not installed');
    store.env.LSAN_OPTIONS = 'detect_leaks=0'; // it cannot work below strace
    const child = await store.serve();
    const kept = Array.from({ length: 8 }, () => new Kept(store.socket));
    for (const one of kept) assert.equal((await one.ask('/kv/get', { key: ['k'] })).status, 200);
    const strace = await slowClose(child.pid, 30);
    const gone = new Promise((resolve) => strace.on('close', resolve));
    // Each asks once, one after the other, while the closing goes on.
    const late = kept.map(async (one, i) => {
      await sleep(40 + 15 * i);
      const answer = await one.ask('/kv/get', { key: ['k'] });
      one.close();
      return answer;
    });
    if (!(await endsFairly(t, child))) return;
    for (const answer of await Promise.all(late)) assert.ok(answer === 'refused' || [200, 503].includes(answer.status), JSON.stringify(answer));
    await gone;
  });
});
