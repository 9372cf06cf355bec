// Copies and restorations, made while others write.  Takes about 15 s.  Runs on the plain build.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { spawn } from 'node:child_process';
import path from 'node:path';

import { BUILD, Store, fill, sleep } from './lib/store.mjs';

const WRITERS = 3;

// What one snapshot of the writers' keys must be: batches whole, and the counter their sum.
async function isWhole(s, db) {
  const keys = [['sum']];
  for (let w = 0; w < WRITERS; w++) keys.push(['w', w, 'a'], ['w', w, 'b']);
  const saved = s.env.KV_DB_PATH;
  s.env.KV_DB_PATH = db;
  const { json } = await s.cgi('/kv/get-many', { keys });
  s.env.KV_DB_PATH = saved;
  const [sum, ...rest] = json.entries.map((e) => e?.value ?? 0);
  let total = 0;
  for (let w = 0; w < WRITERS; w++) {
    assert.equal(rest[2 * w], rest[2 * w + 1], 'a batch is whole');
    total += rest[2 * w];
  }
  assert.equal(sum, total, 'the counter is that of the same moment');
  return total;
}

async function good(promise, pattern) {
  const { code, out, err } = await promise;
  assert.equal(code, 0, `${out}${err}`);
  assert.equal(err, '');
  if (pattern) assert.match(out, pattern);
  return out;
}

async function bad(promise, pattern) {
  const { code, err } = await promise;
  assert.equal(code, 1, err);
  assert.match(err, pattern);
  assert.doesNotMatch(err, /Sanitizer|runtime error/);
}

const leftovers = (s) => fs.readdirSync(s.dir).filter((name) => name.includes('.tmp-'));

describe('beside writers', () => {
  let s;
  let writers;
  before(async () => {
    s = new Store();
    await s.serve();
    await fill(s);
    writers = s.write(WRITERS);
  });
  after(() => s.remove());

  it('backs up a consistent copy, mode 0600', async () => {
    let last = -1;
    for (let i = 0; i < 3; i++) {
      await good(s.maint(['backup', `b${i}.db`]), /^backed up \d+ bytes to b\d\.db, verified\n$/);
      assert.equal(fs.statSync(s.path(`b${i}.db`)).mode & 0o777, 0o600);
      await good(s.maint(['check', '--db', s.path(`b${i}.db`)]), /no problem found/);
      const total = await isWhole(s, s.path(`b${i}.db`));
      assert.ok(total > last, 'the copy is of now');
      last = total;
    }
    assert.deepEqual(leftovers(s), []);
  });

  it('does not write over what is there, nor over the database', async () => {
    const before = fs.statSync(s.path('b0.db'));
    await bad(s.maint(['backup', 'b0.db']), /b0\.db exists: --force replaces it/);
    assert.equal(fs.statSync(s.path('b0.db')).ino, before.ino);
    const json = JSON.parse(await good(s.maint(['backup', '--force', '--quick', '--json', 'b0.db'])));
    assert.equal(json.verified, false);
    assert.notEqual(fs.statSync(s.path('b0.db')).ino, before.ino);
    for (const name of ['kv.db', s.db, 'kv.db-wal', './kv.db.lock']) {
      await bad(s.maint(['backup', '--force', name]), /belongs to the database itself/);
    }
    await bad(s.maint(['backup', 'no/such/dir.db']), /cannot create no\/such\/dir\.db: No such file/);
    await bad(s.maint(['dump', '--force', 'kv.db']), /belongs to the database itself/);
  });

  it('leaves nothing behind when it is interrupted', async () => {
    for (const delay of [5, 20, 50, 100]) {
      const child = spawn(path.join(BUILD, 'tools/kvs-maint'), ['backup', `cut${delay}.db`], { cwd: s.dir, env: { ...process.env, ...s.env }, stdio: 'ignore' });
      const closed = new Promise((resolve) => child.on('close', resolve));
      await sleep(delay);
      child.kill('SIGTERM');
      await closed;
      assert.deepEqual(leftovers(s), []);
    }
  });

  it('dumps, loads and dumps the same again', async () => {
    await good(s.maint(['dump', 'd1']), /^dumped \d+ lines to d1\n$/);
    assert.equal(fs.statSync(s.path('d1')).mode & 0o777, 0o600);
    await good(s.maint(['load', '--db', s.path('loaded.db'), 'd1']), /^loaded 5 buckets, \d+ entries, \d+ older values, \d+ messages \(0 duplicates left out\)\n$/);
    await good(s.maint(['check', '--db', s.path('loaded.db')]), /no problem found/);
    await isWhole(s, s.path('loaded.db'));
    const again = await good(s.maint(['dump', '--db', s.path('loaded.db')]));
    assert.equal(again, fs.readFileSync(s.path('d1'), 'utf8'));
    const piped = await s.maint(['load', '--db', s.path('piped.db')], { input: again });
    assert.equal(piped.code, 0, piped.err);
    assert.equal(await good(s.maint(['dump', '--db', s.path('piped.db'), '-'])), again);
  });

  it('runs all commands at once, several times, and writers go on', async () => {
    const names = ['run', 'run', 'check', 'stats', 'run', 'check', 'compact', 'dump'];
    const results = await Promise.all(names.map((name) => s.maint([name])));
    results.forEach(({ code, out, err }, i) => assert.equal(code, 0, `${names[i]}: ${out}${err}`));
  });

  it('follows changes', async () => {
    const child = spawn(path.join(BUILD, 'tools/kvs-maint'), ['tail', '--bucket', 'kept', '--follow', '--since', '999999'], { cwd: s.dir, env: { ...process.env, ...s.env }, stdio: ['ignore', 'pipe', 'inherit'] });
    const closed = new Promise((resolve) => child.on('close', resolve));
    let out = '';
    child.stdout.on('data', (data) => {
      out += data;
    });
    const { bucket } = await s.ok('/bucket/status', { name: 'kept' });
    const from = await s.maint(['tail', '--bucket', 'kept', '--since', String(bucket.revision)]);
    assert.equal(from.out, '');
    child.kill('SIGTERM');
    await closed;
    const second = spawn(path.join(BUILD, 'tools/kvs-maint'), ['tail', '--bucket', 'kept', '--follow', '--since', String(bucket.revision)], { cwd: s.dir, env: { ...process.env, ...s.env }, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => second.on('close', resolve));
    second.stdout.on('data', (data) => {
      out += data;
    });
    for (let i = 0; i < 3; i++) await s.ok('/kv/set', { bucket: 'kept', key: ['followed'], value: i });
    for (let i = 0; i < 100 && out.split('\n').length < 4; i++) await sleep(50);
    second.kill('SIGTERM');
    await ended;
    assert.deepEqual(out.trimEnd().split('\n').map((line) => JSON.parse(line).value), [0, 1, 2]);
  });

  it('refuses to restore while a process uses the database, and names it', async () => {
    await bad(s.maint(['restore', '--force', 'b1.db'], { env: { KVS_BUSY_TIMEOUT: '300' } }), new RegExp(`process ${s.children[0].pid} is using the database`));
  });

  it('has lost nothing in the end', async () => {
    const counts = await writers.stop();
    assert.equal(await isWhole(s, s.db), counts.reduce((a, b) => a + b));
    await good(s.maint(['check']), /no problem found/);
    await s.stop();
  });
});

describe('restore', () => {
  let s;
  let lost; // the id of the last message that the backup does not have
  before(async () => {
    s = new Store();
    await s.serve();
    await fill(s);
    await good(s.maint(['backup', 'b.db']));
    await s.ok('/bucket/create', { name: 'later' });
    await s.ok('/kv/set', { bucket: 'later', key: ['x'], value: 1 });
    for (let i = 0; i < 20; i++) await s.ok('/kv/set', { bucket: 'kept', key: ['k'], value: `lost ${i}` });
    for (let i = 0; i < 3; i++) lost = (await s.ok('/queue/enqueue', { topic: 't', payload: 'lost' })).id;
    await s.stop();
  });
  after(() => s.remove());

  const stats = async (db) => JSON.parse(await good(s.maint(['stats', '--json', '--db', db ?? s.db])));

  it('puts a backup where there was nothing, as it was', async () => {
    await good(s.maint(['restore', '--db', s.path('new.db'), 'b.db']), /^restored b\.db to .*new\.db\n$/);
    assert.equal(fs.statSync(s.path('new.db')).mode & 0o777, 0o660);
    assert.equal(await good(s.maint(['dump', '--db', s.path('new.db')])), await good(s.maint(['dump', '--db', s.path('b.db')])));
  });

  it('refuses to replace without --force, and what is no sound backup', async () => {
    const was = await good(s.maint(['dump']));
    await bad(s.maint(['restore', 'b.db']), /exists: --force replaces its content/);
    await bad(s.maint(['restore', '--force', 'kv.db']), /is the database itself/);
    await bad(s.maint(['restore', '--force', 'none.db']), /none\.db: No such file/);
    const whole = fs.readFileSync(s.path('b.db'));
    fs.writeFileSync(s.path('cut.db'), whole.subarray(0, whole.length - 8192));
    await bad(s.maint(['restore', '--force', 'cut.db']), /cut\.db is damaged|malformed|cannot be read/);
    fs.writeFileSync(s.path('not.db'), 'x'.repeat(8192));
    await bad(s.maint(['restore', '--force', 'not.db']), /cannot be read|no backup/);
    fs.writeFileSync(s.path('empty.db'), '');
    await bad(s.maint(['restore', '--force', 'empty.db']), /no backup of a kvs database/);
    assert.equal(await good(s.maint(['dump'])), was);
    assert.deepEqual(leftovers(s), []);
  });

  it('replaces the content; revisions and ids go on', async () => {
    const was = await stats();
    const inode = fs.statSync(s.db).ino;
    await good(s.maint(['restore', '--force', 'b.db']), /revisions go on above those of what was replaced/);
    assert.equal(fs.statSync(s.db).ino, inode, 'whoever opens it meanwhile has the same file');
    await good(s.maint(['check']), /no problem found/);
    await s.serve();
    const { entry } = await s.ok('/kv/get', { bucket: 'kept', key: ['k'] });
    assert.equal(entry.value, 7);
    for (const [name, bucket] of Object.entries(was.buckets)) {
      if (name === 'later') await s.ok('/bucket/create', { name });
      const { revision } = await s.ok('/kv/set', { bucket: name, key: ['new'], value: 1 });
      assert.ok(revision > bucket.revision, `${name}: ${revision} > ${bucket.revision}`);
    }
    const { id } = await s.ok('/queue/enqueue', { payload: 1 });
    assert.ok(id > lost, `${id} > ${lost}`);
    const lock = await s.ok('/lock/acquire', { name: 'another', ttl: 1000 });
    assert.ok(lock.fence > 1);
    const gone = await s.request('/kv/changes', { bucket: 'kept', since: was.buckets.kept.revision });
    assert.equal(gone.status, 410, 'a watcher learns that it has to begin anew');
    await s.stop();
  });

  it('restores over a database that cannot be read, keeps that, and leaps ahead', async () => {
    const was = await stats();
    const file = fs.readFileSync(s.db);
    file.fill(0x5a, 0, 8192);
    fs.writeFileSync(s.db, file);
    for (const end of ['-wal', '-shm']) fs.rmSync(s.db + end, { force: true });
    await bad(s.maint(['check']), /kv\.db/);
    const { code, err } = await s.maint(['restore', '--force', 'b.db']);
    assert.equal(code, 0, err);
    assert.match(err, /cannot be read: it is kept as .*kv\.db\.damaged-\d+/);
    assert.equal(fs.readdirSync(s.dir).filter((name) => name.includes('.damaged-')).length, 1);
    await good(s.maint(['check']), /no problem found/);
    const now = await stats();
    assert.ok(now.buckets.kept.revision > was.buckets.kept.revision + 1e9);
  });
});
