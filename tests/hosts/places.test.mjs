// Each place that is not fit for a database is refused by kvs.fcgi, kvs.cgi and kvs-maint, with what would be right.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { Host, NOBODY, isRoot } from './lib/programs.mjs';

const NFS = 0x6969;

let host;
before(() => {
  host = new Host();
});
after(() => host.remove());

function own(file, mode) {
  if (isRoot) fs.chownSync(file, NOBODY, NOBODY);
  fs.chmodSync(file, mode);
}

async function made(dir, name = 'kv.db') {
  const db = path.join(dir, name);
  const { status, json } = await host.cgi('/kv/set', { key: ['x'], value: 1 }, { env: { KV_DB_PATH: db } });
  assert.equal(status, 200, JSON.stringify(json));
  return db;
}

function refusedBy(name, pattern, prepare, { maint = pattern } = {}) {
  it(name, async (t) => {
    const { db, env = {}, skip } = await prepare();
    if (skip) return t.skip(skip);
    const options = { env: { ...env, KV_DB_PATH: db } };
    const cgi = await host.cgi('/kv/get', { key: ['x'] }, options);
    assert.equal(cgi.status, 500, 'kvs.cgi answers 500');
    assert.match(cgi.json.error.message, pattern);
    assert.match(cgi.err, pattern, 'and logs why');
    const fcgi = await host.fcgi(options);
    assert.ok(fcgi.code > 0, `kvs.fcgi does not start: ${fcgi.code} ${fcgi.signal}`);
    assert.match(fcgi.err, pattern);
    const tool = await host.maint(['stats'], options);
    assert.equal(tool.code, 1);
    assert.match(tool.err, maint);
    assert.doesNotMatch(cgi.err + fcgi.err + tool.err, /Sanitizer|runtime error/);
  });
}

// What kvs-maint says, which looks at the file and no further.
const UNUSABLE = /cannot be read and written by this user.*chown or chmod/;

describe('refused', () => {
  refusedBy('a read-only directory', /cannot be written by this user.*chown or chmod/, async () => {
    const dir = host.place('readonly');
    const db = await made(dir);
    fs.chmodSync(dir, 0o555);
    return { db };
  });

  refusedBy('a read-only file', /has mode 0440 .*cannot read and write it.*chown or chmod the file/, async () => {
    const db = await made(host.place('readonly-file'));
    fs.chmodSync(db, 0o440);
    return { db };
  }, { maint: UNUSABLE });

  refusedBy('another user’s file', /belongs to root .*cannot read and write it.*chown or chmod the file/, async () => {
    if (!isRoot) return { skip: 'only root can make another user’s file' };
    const db = await made(host.place('others'));
    fs.chownSync(db, 0, 0);
    return { db };
  }, { maint: UNUSABLE });

  refusedBy('a directory that everyone can write', /can be written by everyone: chmod o-w/, async () => {
    const dir = host.place('open');
    const db = await made(dir);
    fs.chmodSync(dir, 0o777);
    return { db };
  });

  refusedBy('a file that everyone can write', /can be written by everyone: chmod o-rwx/, async () => {
    const db = await made(host.place('open-file'));
    fs.chmodSync(db, 0o666);
    return { db };
  });

  refusedBy('a directory for a file', /no regular file: set KV_DB_PATH/, async () => {
    const db = path.join(host.place('dir'), 'kv.db');
    fs.mkdirSync(db);
    own(db, 0o700);
    return { db };
  });

  refusedBy('a FIFO', /no regular file: set KV_DB_PATH/, async () => {
    const db = path.join(host.place('fifo'), 'kv.db');
    assert.equal(spawnSync('mkfifo', [db]).status, 0);
    own(db, 0o600);
    return { db };
  });

  refusedBy('a device', /cannot be written by this user|no regular file/, async () => {
    const db = path.join(host.place('device'), 'kv.db');
    fs.symlinkSync('/dev/null', db);
    return { db };
  });

  refusedBy('a text file', /not a database: set KV_DB_PATH/, async () => {
    const db = path.join(host.place('text'), 'kv.db');
    fs.writeFileSync(db, 'notes\n'.repeat(2000));
    own(db, 0o600);
    return { db };
  });

  refusedBy(
    'a directory that is missing',
    /cannot be used: No such file or directory \(make it, or set KV_DB_PATH/,
    async () => ({ db: path.join(host.place('empty'), 'missing', 'kv.db') }),
    { maint: /there is no database .*set KV_DB_PATH/ },
  );

  refusedBy(
    'a symbolic link to nothing',
    /symbolic link to nothing/,
    async () => {
      const db = path.join(host.place('dangling'), 'kv.db');
      fs.symlinkSync('not/there', db);
      return { db };
    },
    { maint: /there is no database .*set KV_DB_PATH/ },
  );

  refusedBy('a file with two names', /second name \(a hard link\): remove that/, async () => {
    const db = await made(host.place('linked'));
    fs.linkSync(db, `${db}.same`);
    return { db };
  });

  refusedBy('below the document root', /below the web server's document root.*set KV_DB_PATH/, async () => {
    const dir = host.place('htdocs', 0o755);
    fs.mkdirSync(path.join(dir, 'data'));
    own(path.join(dir, 'data'), 0o700);
    return { db: await made(path.join(dir, 'data')), env: { DOCUMENT_ROOT: dir } };
  });

  refusedBy('elsewhere, but by a name below the document root', /below the web server's document root/, async () => {
    const dir = host.place('htdocs-link', 0o755);
    const db = await made(host.place('elsewhere'));
    fs.symlinkSync(db, path.join(dir, 'kv.db'));
    return { db: path.join(dir, 'kv.db'), env: { DOCUMENT_ROOT: dir } };
  });

  refusedBy('a network file system', /network file system \(NFS\).*set KV_DB_PATH or db_path to a local disk/, async () => {
    const lib = host.path('statfs.so');
    fs.writeFileSync(
      host.path('statfs.c'),
      '#include <string.h>\n#include <sys/vfs.h>\n' +
        `int statfs(const char *path, struct statfs *fs) { (void)path; memset(fs, 0, sizeof *fs); fs->f_type = ${NFS}; return 0; }\n`,
    );
    assert.equal(spawnSync('cc', ['-shared', '-fPIC', '-o', lib, host.path('statfs.c')]).status, 0);
    const asan = `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0`;
    return { db: await made(host.place('nfs')), env: { LD_PRELOAD: lib, ASAN_OPTIONS: asan } };
  });

  refusedBy('a log that has lost its end', /lost its last \d+ commits.*kvs-maint check says what to do/, async () => {
    const db = await made(host.place('lost'));
    await made(path.dirname(db));
    fs.truncateSync(`${db}-wal`, fs.statSync(`${db}-wal`).size - 4500);
    return { db };
  });
});

describe('taken', () => {
  it('an empty file, whatever the umask: the files are the group’s, too', async () => {
    const db = path.join(host.place('umask'), 'kv.db');
    fs.writeFileSync(db, '');
    own(db, 0o660);
    const set = await host.cgi('/kv/set', { key: ['x'], value: 1 }, { env: { KV_DB_PATH: db }, before: 'umask 077; ' });
    assert.equal(set.status, 200, JSON.stringify(set.json));
    for (const end of ['', '-wal', '-shm', '.lock']) assert.equal(fs.statSync(db + end).mode & 0o777, 0o660, `kv.db${end}`);
  });

  it('two names by symbolic links: one lock, one log, and every increment counts', async () => {
    const db = await made(host.place('names'));
    const other = path.join(host.place('names-link'), 'other.db');
    fs.symlinkSync(db, other);
    const add = async (at) => {
      for (let i = 0; i < 5; i++) {
        const { status, json } = await host.cgi('/kv/increment', { key: ['n'] }, { env: { KV_DB_PATH: at } });
        assert.equal(status, 200, JSON.stringify(json));
      }
    };
    await Promise.all([add(db), add(other)]);
    assert.equal((await host.cgi('/kv/get', { key: ['n'] }, { env: { KV_DB_PATH: db } })).json.entry.value, 10);
    assert.deepEqual(fs.readdirSync(path.dirname(other)), ['other.db'], 'nothing beside the other name');
  });

  it('a log of errors that cannot be written', async () => {
    const full = fs.openSync('/dev/full', 'w');
    const db = await made(host.place('no-log'));
    const get = await host.cgi('/kv/get', { key: ['x'] }, { env: { KV_DB_PATH: db, KVS_LOG_LEVEL: 'debug' }, stderr: full });
    const bad = await host.cgi('/kv/get', { key: ['x'] }, { env: { KV_DB_PATH: `${db}/x` }, stderr: full });
    fs.closeSync(full);
    assert.equal(get.status, 200);
    assert.equal(bad.status, 500);
    assert.match(bad.json.error.message, /cannot be reached|no directory/);
  });
});
