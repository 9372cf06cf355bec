// No command stands in a document that nothing runs.  The examples of the manual pages run here; doc/operations.md has a test of
// its own; for the rest it is said which suite runs the command, and how it looks there.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { sleep } from '../bench/lib/process.mjs';
import { shellBlocks } from './lib/blocks.mjs';
import { Host, ROOT } from './lib/host.mjs';
import { manualBlocks } from './lib/manual.mjs';

const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');

// A command, the suite's file that runs it, and how it is written there.
const RUN_BY = [
  [/^\.\/deploy\/quickstart\b/, 'tests/quickstart/run', 'deploy/quickstart'],
  [/^ACCESS_TOKEN=secret \.\/deploy\/quickstart$/, 'tests/quickstart/run', 'start ACCESS_TOKEN=secret'],
  [/^\.\/tests\/run\b/, 'tests/run', 'Builds with sanitizers and runs every test'],
  [/^\.\/autogen\.sh\b/, 'tests/run', './autogen.sh'],
  [/^(?:\.\/)?configure\b|^\.\/configure\b/, 'tests/build/run', '/configure"'],
  [/^make$/, 'tests/run', 'make -j"$(nproc)" all'],
  [/^make check$/, 'tests/run', 'check VERBOSE='],
  [/^make install$/, 'tests/build/run', 'place install'],
  [/^\.\/deploy\/debian\/build\b/, 'tests/package/run', 'deploy/debian/build --to'],
  [/^apt install\b/, 'tests/package/lib/fresh.sh', 'apt-get -q -y install'],
  [/^systemd-sysusers$/, 'tests/package/run', 'systemd-sysusers'],
  [/^install -o root -g kvs\b/, 'tests/package/lib/fresh.sh', 'install -o root -g kvs'],
];

const DOCUMENTS = ['README.md', ...fs.readdirSync(path.join(ROOT, 'doc')).filter((name) => name.endsWith('.md')).map((name) => `doc/${name}`)];
const HERE = 'doc/operations.md';

describe('commands of the documents', () => {
  let host = null;
  before(() => {
    host = new Host();
    return host.start();
  });
  after(() => host?.stop());

  for (const file of DOCUMENTS) {
    const blocks = shellBlocks(path.join(ROOT, file)).filter(({ marks }) => !marks.includes('session'));
    for (const { line, marks, lines } of blocks) {
      if (file === HERE && !marks.includes('elsewhere')) continue;
      it(`${file}, line ${line}: something runs them`, async () => {
        const commands = lines.map((text) => text.replace(/\s+#.*$/, '')).filter((text) => text && !text.startsWith('#'));
        assert.ok(commands.length > 0);
        for (const command of commands.flatMap((text) => text.split(' && '))) {
          if (command.startsWith('systemctl ')) {
            await host.run(command);
            continue;
          }
          const found = RUN_BY.find(([pattern]) => pattern.test(command));
          assert.ok(found, `nothing runs: ${command}`);
          assert.ok(read(found[1]).includes(found[2]), `${found[1]} does not run: ${command}`);
        }
      });
    }
  }
});

// Pages whose blocks are commands, and those whose block is a configuration.
const CONFIGURATION = /^(?:\[|[a-z_]+ = )/m;

describe('examples of the manual pages', () => {
  let host = null;
  before(async () => {
    host = new Host();
    await host.start();
    await host.post('/bucket/create', { name: 'orders' });
    await host.post('/kv/set', { bucket: 'orders', key: ['a'], value: 1 });
  });
  after(() => host?.stop());

  const pages = fs.readdirSync(path.join(ROOT, 'doc/man')).filter((name) => name.endsWith('.in'));
  for (const page of pages) {
    for (const { line, text } of manualBlocks(path.join(ROOT, 'doc/man', page))) {
      it(`${page}, line ${line}`, async () => {
        if (CONFIGURATION.test(text)) await configures(host, text);
        else if (/kvs\.fcgi --listen/.test(text)) await listens(host, text);
        else if (/kvs\.cgi --check/.test(text)) await checks(host, text);
        else if (text.startsWith('systemctl enable')) await host.run(`${text.trim()} kvs.service`);
        else await host.run(commandsOf(text));
      });
    }
  }
});

// A crontab's line is its command; backups go where the sandbox has them.
const commandsOf = (text) => `mkdir -p /var/backups\n${text.replace(/^(?:[\d*]+ ){5}/gm, '')}`;

// A home on a shared host, with the program uploaded to it.
async function checks(host, text) {
  const home = host.file('home');
  fs.mkdirSync(path.join(home, 'public_html/kvs'), { recursive: true, mode: 0o755 });
  fs.symlinkSync(host.file('bin/kvs.cgi'), path.join(home, 'public_html/kvs/kvs.cgi'));
  assert.match(await host.run(`export HOME=${home}\n${text}`), /^Nothing is wrong/m);
}

// What is shown of kvs.conf is valid: kvs-maint starts with it.
async function configures(host, text) {
  const whole = text.replace('3f0c…', '3f'.repeat(32)).replace(/^access_token = .*$/m, `access_token = ${host.token}`);
  const settings = /^access_token/m.test(whole) ? whole : `access_token = ${host.token}\ndb_path = /var/lib/kvs/kv.db\n${whole}`;
  fs.writeFileSync(host.file('example.conf'), host.here(settings), { mode: 0o600 });
  await host.run('kvs-maint --config example.conf --quiet run');
}

// Starts, listens, and ends when asked to.
async function listens(host, text) {
  const socket = host.file('run/kvs/example.sock');
  const command = host.here(text.trim()).replace(/\S+kvs\.sock/, socket);
  const child = spawn('/bin/bash', ['-c', `exec env ${command}`], { env: host.environment(), cwd: host.dir, stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  for (let i = 0; i < 500 && !fs.existsSync(socket) && child.exitCode === null; i += 1) await sleep(20);
  assert.ok(fs.existsSync(socket), `${command} does not listen`);
  child.kill('SIGTERM');
  // Asked before it has seen to signals, it ends by this one.
  assert.ok([0, 'SIGTERM'].includes(await ended));
}

describe('manual pages and --help', () => {
  let host = null;
  before(() => {
    host = new Host();
    return host.start();
  });
  after(() => host?.stop());

  for (const [page, program] of [['kvs.fcgi.8', 'kvs.fcgi'], ['kvs.cgi.8', 'kvs.cgi'], ['kvs-maint.8', 'kvs-maint']]) {
    it(`${program}: the same options and commands`, async () => {
      const manual = read(`doc/man/${page}.in`);
      const help = await host.run(`${program} --help`);
      const options = (text, pattern) => [...new Set([...text.matchAll(pattern)].map(([, name]) => name))].sort();
      const documented = options(manual, /Fl -([a-z][a-z-]*)/g);
      const told = options(help, /--([a-z][a-z-]*)/g);
      assert.ok(told.length > 3);
      assert.deepEqual(documented, told);
      const commands = options(help, /^  ([a-z]+)/gm).filter((name) => !name.startsWith('--'));
      assert.deepEqual(options(manual, /^\.It Cm ([a-z]+)/gm).filter((name) => program === 'kvs-maint' && name), commands);
    });
  }
});
