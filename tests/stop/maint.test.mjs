// kvs-maint is interrupted in the middle of each command: no unfinished file stays, what stood there before does, the database
// is sound.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { it } from 'node:test';

import { random } from '../lib/random.mjs';
import { Store } from '../maint/lib/store.mjs';

const SIGNALS = ['SIGTERM', 'SIGINT'];
// What the database's own files are called; anything else in the directory a command has made.
const OWN = /^(kv\.db|memory\.db)(-wal|-shm|\.lock)?$/;

const seed = Number(process.env.KVS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const times = Number(process.env.KVS_ROUNDS ?? (process.env.KVS_LONG ? 40 : 1));

// Every command that takes its time, and the file it makes: it is there as a whole or not at all.
const COMMANDS = [
  { args: ['run'] },
  { args: ['check'] },
  { args: ['stats'] },
  { args: ['compact', '--force'] },
  { args: ['backup', 'made.db'], makes: 'made.db', whole: isDatabase },
  { args: ['backup', '--quick', 'made.db'], makes: 'made.db', whole: isDatabase },
  { args: ['backup', '--force', 'kept.db'], keeps: 'kept.db', whole: isDatabase },
  { args: ['dump', 'made.json'], makes: 'made.json', whole: isDump },
  { args: ['dump', '--force', 'kept.json'], keeps: 'kept.json', whole: isDump },
  { args: ['load', 'kept.json'], db: 'loaded.db' },
  { args: ['restore', 'kept.db'], db: 'loaded.db' },
  { args: ['restore', '--force', 'kept.db'] },
  { args: ['tail', '--follow'] },
];

async function isDatabase(store, file) {
  const { code, out, err } = await store.maint(['check'], { env: { KV_DB_PATH: file } });
  for (const ending of ['', '-wal', '-shm', '.lock']) if (ending) fs.rmSync(file + ending, { force: true });
  assert.equal(code, 0, `${file}: ${out}${err}`);
}

// What a database consists of; the journal is that of a log's predecessor, while the file is being made.
const DATABASE = ['', '-journal', '-wal', '-shm', '.lock'];

async function isDump(store, file) {
  const lines = fs.readFileSync(file, 'utf8').trim().split('\n');
  assert.equal(JSON.parse(lines.at(-1)).type, 'end', `${file} is whole`);
}

async function fill(store) {
  await store.serve();
  for (let i = 0; i < 4; i += 1) {
    const mutations = Array.from({ length: 500 }, (_, n) => ({ type: 'set', key: [i, n], value: 'v'.repeat(500), ttl: n % 2 ? 1 : 0 }));
    const enqueues = Array.from({ length: 200 }, (_, n) => ({ payload: n }));
    await store.ok('/kv/atomic', { mutations, enqueues });
  }
  await store.stop();
  for (const args of [['backup', 'kept.db'], ['dump', 'kept.json']]) assert.equal((await store.maint(args)).code, 0);
}

// How long a command takes when it is let be, if it is to be interrupted often; a follower has no end.
async function lengthOf(store, command, env) {
  if (times === 1 || command.args.includes('--follow')) return 150;
  const begun = performance.now();
  await store.maint(command.args, { env });
  return performance.now() - begun;
}

function cleanUp(store, command) {
  for (const file of [command.makes, command.db]) {
    if (file) for (const ending of DATABASE) fs.rmSync(store.path(file + ending), { force: true });
  }
}

async function interrupt(store, command, ms, signal) {
  const env = command.db ? { KV_DB_PATH: store.path(command.db) } : {};
  let timer;
  const begun = (child) => {
    timer = setTimeout(() => child.kill(signal), ms);
  };
  const { code, signal: by, err } = await store.maint(command.args, { env, begun });
  clearTimeout(timer);
  const what = `${command.args.join(' ')}, ${signal} after ${ms} ms`;
  assert.ok(code === 0 || by === signal, `${what}: ended with ${code ?? by}: ${err}`);
  // What SQLite lays beside a backup that is being read: it holds nothing.
  const log = store.path('kept.db-wal');
  if (fs.existsSync(log)) assert.equal(fs.statSync(log).size, 0, what);
  for (const ending of ['-wal', '-shm']) fs.rmSync(store.path(`kept.db${ending}`), { force: true });
  const names = fs.readdirSync(store.dir).filter((name) => !OWN.test(name) && !/^kept\.(db|json)$/.test(name));
  const allowed = [command.makes, ...(command.db ? DATABASE.map((ending) => command.db + ending) : [])];
  assert.deepEqual(names.filter((name) => !allowed.includes(name)), [], `${what}: left behind`);
  const file = command.keeps ?? (names.includes(command.makes) ? command.makes : null);
  if (file) await command.whole(store, store.path(file));
  if (command.db && fs.existsSync(store.path(command.db))) await isDatabase(store, store.path(command.db));
  cleanUp(store, command);
  return by === signal;
}

it(`kvs-maint is interrupted ${times} times in each of ${COMMANDS.length} commands, seed ${seed}`, async (t) => {
  const store = new Store();
  const rng = random(seed);
  const counts = { interrupted: 0, done: 0 };
  try {
    await fill(store);
    for (const command of COMMANDS) {
      const env = command.db ? { KV_DB_PATH: store.path(command.db) } : {};
      const length = await lengthOf(store, command, env);
      cleanUp(store, command);
      for (let i = 0; i < times; i += 1) {
        const hit = await interrupt(store, command, Math.ceil(rng() * length), SIGNALS[rng.below(2)]);
        counts[hit ? 'interrupted' : 'done'] += 1;
      }
      assert.match((await store.maint(['check'])).out, /no problem found/, command.args.join(' '));
    }
    t.diagnostic(`seed ${seed}: ${JSON.stringify(counts)}`);
    assert.ok(counts.interrupted > 0);
  } finally {
    await store.remove();
  }
});
