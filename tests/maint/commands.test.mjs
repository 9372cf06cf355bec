// Each command by itself: what it prints, what it leaves, its exit status.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { Store, execute, fill, sleep } from './lib/store.mjs';

const COMMANDS = ['run', 'check', 'stats', 'backup', 'restore', 'dump', 'load', 'compact', 'tail'];

// A message is one line of one form, and names no secret.
function isMessage(err, pattern) {
  for (const line of err.trimEnd().split('\n')) assert.match(line, /^kvs-maint\[\d+\]: (error|warning): /);
  assert.doesNotMatch(err, /maint-test-token/);
  assert.match(err, pattern);
}

describe('kvs-maint', () => {
  let s;
  before(async () => {
    s = new Store();
    await s.serve();
    await fill(s);
  });
  after(() => s.remove());

  it('explains itself', async () => {
    const { code, out, err } = await s.maint(['--help']);
    assert.equal(code, 0);
    assert.equal(err, '');
    for (const name of COMMANDS) assert.match(out, new RegExp(`^  ${name}`, 'm'));
    assert.match((await s.maint(['--version'])).out, /^kvs-maint \d/);
  });

  it('refuses wrong use with status 2 and changes nothing', async () => {
    const wrong = [
      ['--nope'],
      ['nope'],
      ['run', 'extra'],
      ['backup'],
      ['restore'],
      ['backup', 'a', 'b'],
      ['check', '--force'],
      ['stats', '--bucket', 'default'],
      ['tail', '--since', 'x'],
      ['tail', '--since', '-1'],
      ['tail', '--bucket', 'no name'],
      ['check', '--db'],
      ['check', '--db', ''],
      ['--quiet=1'],
    ];
    for (const args of wrong) {
      const { code, out, err } = await s.maint(args);
      assert.equal(code, 2, args.join(' '));
      assert.equal(out, '', args.join(' '));
      isMessage(err, /kvs-maint --help says more/);
    }
  });

  it('fails with status 1 and a clear message where there is no database, and makes none', async () => {
    for (const name of ['run', 'check', 'stats', 'dump', 'compact', 'tail']) {
      const { code, err } = await s.maint(['--db', s.path('none.db'), name]);
      assert.equal(code, 1, name);
      isMessage(err, /there is no database .*none\.db: set KV_DB_PATH/);
    }
    assert.equal(fs.existsSync(s.path('none.db')), false);
  });

  it('says what is wrong with a file that is no database', async () => {
    fs.writeFileSync(s.path('text.db'), 'this is not a database, however long one looks at it\n'.repeat(100));
    const { code, err } = await s.maint(['--db', s.path('text.db'), 'check']);
    assert.equal(code, 1);
    isMessage(err, /text\.db/);
  });

  it('takes the database from a configuration file, and flags over it', async () => {
    fs.writeFileSync(s.path('my.conf'), `db_path = ${s.path('none.db')}\n`, { mode: 0o600 });
    const env = { KV_DB_PATH: '' };
    assert.equal((await s.maint(['--config', s.path('my.conf'), 'stats'], { env })).code, 1);
    assert.equal((await s.maint(['--config', s.path('my.conf'), '--db', s.db, 'stats'], { env })).code, 0);
    fs.writeFileSync(s.path('bad.conf'), 'no_such_name = 1\n', { mode: 0o600 });
    const { code, err } = await s.maint(['--config', s.path('bad.conf'), 'stats']);
    assert.equal(code, 1);
    isMessage(err, /no_such_name/);
  });

  it('runs maintenance, which is also what no command means', async () => {
    await s.ok('/kv/set', { key: ['short'], value: 1, ttl: 1 });
    await sleep(20);
    const { code, out } = await s.maint([]);
    assert.equal(code, 0);
    assert.match(out, /^expired 1 entries, settled \d+ leases, dropped \d+ dead letters and \d+ markers, removed \d+ rows\n$/);
    assert.deepEqual(await s.maint(['run', '--quiet']).then(({ code: c, out: o, err }) => [c, o, err]), [0, '', '']);
    const { out: json } = await s.maint(['run', '--json']);
    assert.equal(JSON.parse(json).ok, true);
    assert.equal(JSON.parse(json).expired, 0);
  });

  it('finds no problem in a sound store', async () => {
    const { code, out } = await s.maint(['check']);
    assert.equal(code, 0, out);
    assert.match(out, /^4 buckets, \d+ entries, \d+ older values, \d+ messages: no problem found\n$/);
    assert.equal((await s.maint(['check', '--quiet'])).out, '');
    const { out: text } = await s.maint(['--json', 'check']);
    const json = JSON.parse(text);
    assert.equal(json.problems, 0);
    assert.equal(json.buckets, 4);
    assert.deepEqual(json.findings, []);
    assert.ok(json.entries > 5 && json.history > 3 && json.messages > 3);
  });

  it('counts as the API does', async () => {
    const { out } = await s.maint(['stats', '--json']);
    const stats = JSON.parse(out);
    assert.ok(stats.database.bytes > 0 && stats.database.log >= 0);
    for (const name of ['default', 'kept', 'small', 'fwd']) {
      const { bucket } = await s.ok('/bucket/status', { name });
      const { keys, values, bytes, revision } = stats.buckets[name];
      assert.deepEqual({ keys, values, bytes, revision }, { keys: bucket.keys, values: bucket.values, bytes: bucket.bytes, revision: bucket.revision });
    }
    assert.equal(stats.buckets.gone, undefined);
    const { topics } = await s.ok('/queue/stats', {});
    for (const [name, t] of Object.entries(topics)) {
      const { oldestReadyMs, ...counts } = stats.topics[name];
      assert.equal(oldestReadyMs === null, t.oldestReadyMs === null, name);
      assert.deepEqual(counts, { ready: t.ready, delayed: t.delayed, leased: t.leased, dead: t.dead }, name);
    }
    const text = (await s.maint(['stats'])).out;
    assert.match(text, /^database .*: \d+ bytes, of which \d+ free; log \d+ bytes$/m);
    assert.match(text, /^bucket kept: \d+ keys/m);
    assert.match(text, /^topic dead: 0 ready, 0 delayed, 0 leased, 1 dead$/m);
  });

  it('shows the changes of a bucket', async () => {
    const { out } = await s.maint(['tail', '--bucket', 'kept', '--since', '0']);
    const lines = out.trimEnd().split('\n').map((line) => JSON.parse(line));
    const { entries } = await s.ok('/kv/changes', { bucket: 'kept', since: 0 });
    assert.deepEqual(lines.slice(-1), entries.slice(-1));
    assert.deepEqual(lines.map((e) => e.revision), lines.map((e) => e.revision).sort((a, b) => a - b));
    assert.equal((await s.maint(['tail', '--bucket', 'kept', '--since', '999999'])).out, '');
    const none = await s.maint(['tail', '--bucket', 'nosuch']);
    assert.equal(none.code, 1);
    isMessage(none.err, /there is no bucket nosuch/);
  });

  it('shows how far it has come on a terminal, and nowhere else', async (t) => {
    const program = `${process.env.KVS_BUILD ?? '../..'}/tools/kvs-maint`;
    if (!fs.existsSync('/usr/bin/script')) return t.skip('script is not installed');
    const { out } = await execute('/usr/bin/script', ['-qec', `${program} check`, '/dev/null'], { env: s.env });
    assert.match(out, /\rchecking|\r\x1b\[Kchecking rows/);
    assert.match(out, /\r\x1b\[K\d+ buckets, .* no problem found/);
    const quiet = await execute('/usr/bin/script', ['-qec', `${program} check --quiet`, '/dev/null'], { env: s.env });
    assert.equal(quiet.out, '');
    assert.equal((await s.maint(['check'])).err, '');
  });

  it('makes files that the others can use where root runs it', { skip: process.getuid() !== 0 }, async () => {
    const dir = s.path('owned');
    fs.mkdirSync(dir);
    fs.chownSync(dir, 65534, 65534);
    const { out } = await s.maint(['dump']);
    const { code, err } = await s.maint(['load', '--db', `${dir}/kv.db`], { input: out });
    assert.equal(code, 0, err);
    for (const name of fs.readdirSync(dir)) {
      const { uid, gid, mode } = fs.statSync(`${dir}/${name}`);
      assert.deepEqual([name, uid, gid, mode & 0o777], [name, 65534, 65534, 0o660]);
    }
  });

  it('speaks JSON on standard error where the configuration says so', async () => {
    const { err } = await s.maint(['--db', s.path('none.db')], { env: { KVS_LOG_FORMAT: 'json' } });
    const line = JSON.parse(err);
    assert.equal(line.program, 'kvs-maint');
    assert.equal(line.level, 'error');
  });

  it('fails where its output cannot be written', { skip: !fs.existsSync('/dev/full') }, async () => {
    const { code, err } = await execute('/bin/sh', ['-c', '"$0" stats >/dev/full', `${process.env.KVS_BUILD ?? '../..'}/tools/kvs-maint`], {
      env: s.env,
    });
    assert.equal(code, 1);
    isMessage(err, /standard output/);
  });

  it('tells another user what is missing', { skip: process.getuid() !== 0 }, async () => {
    const run = (mode) => {
      fs.chmodSync(s.dir, mode);
      const program = s.path('kvs-maint');
      return execute('/usr/bin/setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', program, 'stats'], { env: { ...s.env, LSAN_OPTIONS: 'detect_leaks=0' } });
    };
    fs.copyFileSync(`${process.env.KVS_BUILD ?? '../..'}/tools/kvs-maint`, s.path('kvs-maint'));
    fs.chmodSync(s.path('kvs-maint'), 0o755);
    const { code, err } = await run(0o755);
    assert.equal(code, 1);
    isMessage(err, /cannot be (read and )?written by this user.*user nobody/);
  });
});
