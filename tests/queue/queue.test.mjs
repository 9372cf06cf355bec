// Two kvs.fcgi, kvs.cgi and kvs-maint on one queue, killed at random, while the clock goes an hour forward and back.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { it } from 'node:test';

import { random } from '../lib/random.mjs';
import { Store, sleep } from '../maint/lib/store.mjs';
import { Client } from './lib/clients.mjs';
import { HOUR, ONCE, TOPICS, World } from './lib/world.mjs';

const seed = Number(process.env.KVS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.env.KVS_ROUNDS ?? (process.env.KVS_LONG ? 500 : 15));

const ROUND_MS = 10_000;
const MANY = 150; // messages from which on a topic is emptied

// A clock for all programs of the store.
class Clock {
  constructor(store) {
    const file = store.path('clock');
    fs.writeFileSync(file, Buffer.alloc(8));
    this.fd = fs.openSync(file, 'r+');
    Object.assign(store.env, { LD_PRELOAD: process.env.KVS_TEST_SHIM, KVS_TEST_CLOCK: file });
    // A program killed while the leak sanitizer looks at its threads makes that say so on stderr.
    process.env.ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0:detect_leaks=0`;
    this.steps = 0;
  }

  set(hours) {
    const ms = Buffer.alloc(8);
    ms.writeBigInt64LE(BigInt(hours * HOUR));
    fs.writeSync(this.fd, ms, 0, 8, 0);
    this.steps += 1;
  }
}

// Without this, a clock that nobody looks at would pass.
async function moves(store, clock) {
  await store.serve();
  clock.set(1);
  await store.ok('/queue/enqueue', { topic: 'time', payload: 0 });
  const { messages } = await store.ok('/queue/dequeue', { topic: 'time' });
  assert.ok(messages[0].enqueuedAt > Date.now() + HOUR / 2, 'the programs look at the clock that the test moves');
  await store.ok('/queue/purge', { topic: 'time' });
  await store.stop();
}

const taken = (answer, endpoint) => {
  if (answer.status === 503) return null;
  if (endpoint === '/kv/atomic' && answer.status === 409) return { ok: false };
  assert.equal(answer.status, 200, `${endpoint}: ${answer.status} ${answer.text}`);
  return answer.json;
};

// Through whichever server lives.
function overFcgi(store, sockets, rng) {
  return async (endpoint, body) => {
    if (!sockets.length) return null;
    try {
      return taken(await store.request(endpoint, body, sockets[rng.below(sockets.length)]), endpoint);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return error.syscall === 'connect' ? null : undefined;
    }
  };
}

function killing(ms) {
  let child;
  const begun = (started) => {
    child = started;
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    child.on('close', () => clearTimeout(timer));
  };
  return { begun, killed: () => child.signalCode === 'SIGKILL' };
}

function overCgi(store, rng, tally) {
  return async (endpoint, body) => {
    const { begun, killed } = killing(rng.below(2) ? rng.below(90) : ROUND_MS);
    const answer = await store.cgi(endpoint, body, { begun });
    if (killed()) tally.cgi += 1;
    return answer ? taken(answer, endpoint) : undefined;
  };
}

// Alone at the beginning of a round: what is dead is just what must be; some of it begins anew, some goes.
async function tidy(store, world, rng) {
  for (const topic of TOPICS) {
    const here = [...world.messages.values()].filter((message) => message.topic === topic);
    if (here.length > MANY || rng.below(12) === 0) {
      assert.deepEqual(await store.ok('/queue/purge', { topic }), { ok: true, purged: here.length });
      for (const message of here) world.messages.delete(message.payload);
      continue;
    }
    const { messages } = await store.ok('/queue/dead', { topic, limit: 1000 });
    const dead = new Map(messages.map((message) => [message.payload, message]));
    for (const { payload, before, maxAttempts } of here) {
      const may = before.phase === 'dead' || (before.phase === 'leased' && before.short && before.attempts >= maxAttempts);
      if (dead.has(payload)) assert.ok(may, `${payload} is dead and was not`);
      else assert.notEqual(before.phase, 'dead', `dead letter ${payload} is lost`);
    }
    for (const [payload, { id, attempts, maxAttempts }] of dead) {
      const message = world.messages.get(payload);
      world.counts.dead += 1;
      assert.equal(attempts, maxAttempts, `${payload} is dead too early`);
      message.before = { phase: 'dead', attempts, lease: message.before.lease, short: false };
      const what = ['redrive', 'discard', null][rng.below(3)];
      if (!what) continue;
      assert.deepEqual(await store.ok(`/queue/${what}`, { topic, ids: [id] }), { ok: true, moved: 1 });
      if (what === 'discard') world.messages.delete(payload);
      else message.before = { phase: 'ready', attempts: 0, lease: null, short: false };
    }
  }
  for (const [name, known] of world.names) {
    if (known.id === undefined || known.acked || rng.below(2)) continue;
    assert.deepEqual(await store.ok('/queue/ack', { id: known.id }), { ok: true }, `${ONCE} ${name}`);
    known.acked = true;
  }
}

async function maintain(store, rng, tally) {
  const commands = [['run'], ['run'], ['backup', '--force', 'b.db'], ['compact', '--quiet']];
  const { begun, killed } = killing(rng.below(120));
  const { err } = await store.maint(commands[rng.below(commands.length)], { begun });
  store.stderr += err;
  if (killed()) tally.maint += 1;
}

// Clients work until so many operations are done, when one server is killed, and so many more, when the other is.
async function work(store, world, clock, rng, tally, n) {
  const sockets = [store.socket, store.path('other')];
  const servers = [...store.children];
  let alive = true;
  const until = async (enough) => {
    const end = Date.now() + ROUND_MS;
    while (alive && world.counts.operations < enough && Date.now() < end) await sleep(2);
    await sleep(rng.below(8));
  };
  const run = async (call, left) => {
    const client = new Client(world, rng, n, call);
    for (; alive && left > 0; left -= 1) await client.step();
  };
  const step = async () => {
    while (alive) {
      await sleep(rng.below(60));
      if (rng.below(3) === 0) clock.set(rng.below(3) - 1);
    }
  };
  const all = [step(), maintain(store, rng, tally), run(overCgi(store, rng, tally), 1 + rng.below(3))];
  for (let i = 0; i < 6; i += 1) all.push(run(overFcgi(store, sockets, rng), Infinity));
  const done = Promise.all(all);
  done.catch(() => (alive = false));
  for (let left = 2; left > 0; left -= 1) {
    await until(world.counts.operations + 20 + rng.below(80));
    const at = rng.below(left);
    servers[at].kill('SIGKILL');
    tally.fcgi += 1;
    await servers[at].closed;
    servers.splice(at, 1);
    sockets.splice(at, 1);
  }
  alive = false;
  await done;
  store.children.splice(0);
}

async function good(promise) {
  const { code, out, err } = await promise;
  assert.equal(code, 0, `${out}${err}`);
  return out;
}

it(`${rounds} rounds of a queue, seed ${seed}`, async (t) => {
  const store = new Store();
  const clock = new Clock(store);
  const rng = random(seed);
  const world = new World();
  const tally = { fcgi: 0, cgi: 0, maint: 0 };
  store.env.KVS_DEDUPE_WINDOW = String(1000 * HOUR);
  try {
    await moves(store, clock);
    for (let n = 0; n < rounds; n += 1) {
      await Promise.all([store.serve(), store.serve(store.path('other'))]);
      await tidy(store, world, rng);
      await work(store, world, clock, rng, tally, n);
      clock.set(2); // the check complains of a clock that is behind
      await good(store.maint(['check', '--quiet']));
      world.settle(await good(store.maint(['dump'])));
      clock.set(rng.below(3) - 1);
    }
    t.diagnostic(`seed ${seed}: ${JSON.stringify(world.counts)}, killed ${JSON.stringify(tally)}, the clock put ${clock.steps} times`);
    for (const what of ['deliveries', 'stale', 'doubts']) assert.ok(world.counts[what] > 0, what);
  } finally {
    await store.stop();
    await store.remove();
  }
});
