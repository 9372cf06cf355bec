// deploy/shared-hosting where there is nothing but Apache: a fresh Debian with that one package, entered by chroot, everything in it
// run as an ordinary user, and a kvs.cgi that was built with --enable-static-cgi.  With KVS_LONG=1 alone; it needs root and
// Debian's archive.  KVS_STATIC_CGI=FILE takes that program rather than building one.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { good, imperfect, wrong } from './lib/cases.mjs';
import { account, BUILD, Host } from './lib/host.mjs';

const LIBRARIES = /lib(sodium|zstd|inih|cjson|fcgi)\b/;

function whyNot() {
  if (!process.env.KVS_LONG) return 'long';
  if (process.getuid() !== 0) return 'needs root';
  return fs.existsSync('/usr/sbin/debootstrap') ? false : 'needs debootstrap';
}

function run(program, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  assert.equal(status, 0, `${program} ${args.join(' ')}\n${stdout?.slice(-2000)}${stderr?.slice(-2000)}`);
  return stdout;
}

// The archive that this machine's packages come from.
function archive() {
  const targets = execFileSync('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Identifier: Packages'], { encoding: 'utf8' });
  const found = targets.split('\n').find((uri) => /\/debian\/?$/.test(uri));
  assert.ok(found, `no archive of Debian among\n${targets}`);
  return found;
}

// A static kvs.cgi as the how-to builds it, without what is there for debuggers.
function buildStatic(dir) {
  const stripped = path.join(dir, 'kvs.cgi');
  let program = process.env.KVS_STATIC_CGI;
  if (!program) {
    const [, source] = /^abs_top_srcdir = (.*)$/m.exec(fs.readFileSync(path.join(BUILD, 'Makefile'), 'utf8'));
    const build = path.join(dir, 'build');
    fs.mkdirSync(build);
    run(path.join(source, 'configure'), ['--enable-static-cgi'], { cwd: build });
    run('make', ['-s', 'cgi/kvs.cgi'], { cwd: build });
    program = path.join(build, 'cgi/kvs.cgi');
  }
  run('strip', ['-o', stripped, program]);
  return stripped;
}

describe('a host with nothing but Apache', { skip: whyNot() }, () => {
  const dir = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-chroot-'));
  const root = path.join(dir, 'root');
  let program = null;
  before(() => {
    fs.chmodSync(dir, 0o755);
    program = buildStatic(dir);
    run('/usr/sbin/debootstrap', ['--variant=minbase', '--include=apache2-bin', 'bookworm', root, archive()]);
  });

  it('has none of the libraries that kvs is made of, no compiler and no /proc', () => {
    const packages = run('/usr/sbin/chroot', [root, 'dpkg-query', '-W', '-f', '${Package}\n']);
    assert.match(packages, /^apache2-bin$/m);
    assert.doesNotMatch(packages, LIBRARIES);
    assert.doesNotMatch(packages, /^(gcc|cc|libc6-dev|nodejs|curl)$/m);
    assert.deepEqual(fs.readdirSync(path.join(root, 'proc')), []);
  });

  it('the program is one static file of a few megabytes', (t) => {
    const { size } = fs.statSync(program);
    t.diagnostic(`kvs.cgi: ${size} bytes`);
    assert.ok(size < 6e6, `${size} bytes`);
    const { stdout, stderr } = spawnSync('ldd', [program], { encoding: 'utf8' });
    assert.match(stdout + stderr, /not a dynamic executable|statically linked/);
  });

  const newHost = () => new Host({ root, program, customer: account('www-data') });
  describe('set up as the how-to says', () => good(newHost));
  describe('set-ups that are wrong', () => wrong(newHost));
  describe('set-ups that work, but not as they should', () => imperfect(newHost));

  describe('a file system that is full', () => {
    let host = null;
    const mounted = () => host.at('kvs');
    before(() => {
      host = newHost();
      host.upload();
      run('mount', ['-t', 'tmpfs', '-o', 'size=512k,mode=700,uid=33,gid=33', 'tmpfs', mounted()]);
      host.put('kvs/kvs.conf', 0o600, host.conf());
    });

    it('is told, and so is one in memory', () => {
      const { status, text } = host.check();
      assert.equal(status, 1);
      assert.match(text, /^wrong {4}space: 0 MiB are free where the database lies/m);
      assert.match(text, /^warning {2}file_system: .* is on a file system in memory \(tmpfs\)/m);
    });

    after(() => {
      run('umount', [mounted()]);
      host.remove();
    });
  });

  after(() => {
    if (process.env.KVS_KEEP) process.stderr.write(`kept ${dir}\n`);
    else fs.rmSync(dir, { recursive: true, force: true });
  });
});
