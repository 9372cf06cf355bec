// A shared host: Apache as an ordinary user, a customer's home directory, and files put there as an FTP program would.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Client } from '../../http/lib/client.mjs';
import { unexpectedLines } from '../../http/lib/logs.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const START_MS = 60_000;
const STOP_MS = 20_000;
const SANITIZERS = ['ASAN_OPTIONS', 'UBSAN_OPTIONS'];

export const FOLDER = path.join(ROOT, 'deploy/shared-hosting');
export const BUILD = process.env.KVS_BUILD ? path.resolve(process.env.KVS_BUILD) : ROOT;
export const TOKEN = 'a long random text 7c1f9e02b5d84a63';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

// uid and gid of a user of this machine; null for whoever runs the tests, where that is no other than himself.
export function account(name) {
  if (process.getuid() !== 0) return null;
  const id = (flag) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

// The sanitizers' options.  The search for leaks takes a program several times as long as a request; other suites do it.
export function sanitizers() {
  const set = Object.fromEntries(SANITIZERS.map((name) => [name, process.env[name]]).filter(([, value]) => value));
  return { ...set, ASAN_OPTIONS: [set.ASAN_OPTIONS, 'detect_leaks=0'].filter(Boolean).join(':') };
}

// Fills in @NAME@.
export function fill(text, values) {
  return text.replace(/@([A-Z]+)@/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

const living = new Set();
process.on('exit', () => {
  for (const host of living) host.remove();
});
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
  process.on(signal, () => process.exit(128 + number));
}

export class Host {
  // root: what the host sees as its root directory; "": this machine's.  program: the kvs.cgi to upload.  customer owns the home directory, server is whom Apache runs as: accounts; by default
  // one and the same, as where a host runs programs as their owner.
  constructor({ root = '', program = path.join(BUILD, 'cgi/kvs.cgi'), customer = account('www-data'), server = customer } = {}) {
    this.program = program;
    this.customer = customer;
    this.server = server;
    this.root = root;
    this.dir = fs.mkdtempSync(path.join(root ? `${root}/srv` : (process.env.TMPDIR ?? os.tmpdir()), 'kvs-host-'));
    fs.chmodSync(this.dir, 0o755);
    this.home = path.join(this.dir, 'home');
    this.expected = []; // log lines (RegExp) that a test has announced
    this.child = null;
    living.add(this);
  }

  // What the host calls a file.
  seen(name) {
    return name.slice(this.root.length);
  }

  // A command on the host as one of its users: what to spawn, with which options.
  as(who, command, options) {
    if (!this.root) return [command[0], command.slice(1), { ...options, ...who }];
    return ['/usr/sbin/chroot', [`--userspec=${who.uid}:${who.gid}`, this.root, ...command], options];
  }

  at(...parts) {
    return path.join(this.home, ...parts);
  }

  own(name, who = this.customer) {
    if (who) fs.lchownSync(name, who.uid, who.gid);
  }

  // As FTP's MKD and SITE CHMOD.
  folder(name, mode) {
    fs.mkdirSync(this.at(name), { recursive: true });
    this.chmod(name, mode);
    this.own(this.at(name));
  }

  // As FTP's STOR and SITE CHMOD: text, or the file that from names.
  put(name, mode, { text, from }) {
    if (from === undefined) fs.writeFileSync(this.at(name), text);
    else fs.copyFileSync(from, this.at(name));
    this.chmod(name, mode);
    this.own(this.at(name));
  }

  chmod(name, mode) {
    fs.chmodSync(this.at(name), mode);
  }

  // kvs.conf as the how-to says, with further lines at its end, perhaps with another database.
  conf({ lines = [], dbPath = 'kv.db' } = {}) {
    const sample = fs.readFileSync(path.join(FOLDER, 'kvs.conf'), 'utf8');
    const text = sample.replace(/^;access_token = *$/m, `access_token = ${TOKEN}`).replace(/^db_path = .*$/m, `db_path = ${dbPath}`);
    return { text: `${text}${lines.map((line) => `${line}\n`).join('')}` };
  }

  // The home directory as the how-to leaves it.
  upload() {
    fs.rmSync(this.home, { recursive: true, force: true });
    this.folder('', 0o755);
    this.folder('public_html', 0o755);
    this.folder('kvs', 0o700);
    this.put('kvs/kvs.conf', 0o600, this.conf());
    this.folder('public_html/kvs', 0o755);
    this.put('public_html/kvs/kvs.cgi', 0o755, { from: this.program });
    this.put('public_html/kvs/.htaccess', 0o644, { from: path.join(FOLDER, '.htaccess') });
  }

  async start() {
    const server = path.join(this.dir, 'server');
    fs.mkdirSync(server);
    this.own(server, this.server);
    this.port = await freePort();
    const values = { PORT: this.port, SERVER: this.seen(server), ROOT: this.seen(this.at('public_html')), MODULES: '/usr/lib/apache2' };
    let text = fill(fs.readFileSync(new URL('apache.conf', import.meta.url), 'utf8'), values);
    for (const [name, value] of Object.entries(sanitizers())) text += `SetEnv ${name} "${value}"\n`;
    const conf = path.join(this.dir, 'apache.conf');
    fs.writeFileSync(conf, text);
    const command = ['/usr/sbin/apache2', '-d', this.seen(server), '-f', this.seen(conf), '-DFOREGROUND'];
    const options = { cwd: server, stdio: 'ignore', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } };
    this.child = spawn(...this.as(this.server, command, options));
    this.gone = new Promise((resolve) => {
      this.child.once('error', resolve);
      this.child.once('exit', resolve);
    });
    this.client = new Client(`http://127.0.0.1:${this.port}/kvs`);
    await this.whenServing();
  }

  // Asks for nothing of ours: the first request to kvs is the test's.
  async whenServing() {
    const anything = new Client(`http://127.0.0.1:${this.port}`);
    for (const deadline = Date.now() + START_MS; ; await sleep(50)) {
      if (this.child.exitCode !== null) throw new Error(`Apache ended with ${this.child.exitCode}\n${this.log()}`);
      const open = await anything.request({ method: 'GET', path: '/' }).catch(() => null);
      anything.close();
      if (open) return;
      if (Date.now() > deadline) throw new Error(`Apache does not answer\n${this.log()}`);
    }
  }

  log() {
    const file = path.join(this.dir, 'server/apache.log');
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  }

  // kvs.cgi in a shell of the customer's, with these arguments behind --check; what it printed and its status.
  check({ env = {}, limit = '', args = [] } = {}) {
    const all = { PATH: '/usr/bin:/bin', DOCUMENT_ROOT: this.seen(this.at('public_html')), ...sanitizers(), ...env };
    const script = `${limit}\nexec "$@"`;
    const command = ['/bin/sh', '-c', script, 'sh', this.seen(this.at('public_html/kvs/kvs.cgi')), '--check', ...args];
    const { status, stdout, stderr } = spawnSync(...this.as(this.customer, command, { env: all, encoding: 'utf8' }));
    return { status, text: stdout, stderr };
  }

  // Ends Apache; answers the problems seen: log lines that nothing announced.
  async stop() {
    this.client?.close();
    if (this.child?.exitCode === null) {
      this.child.kill('SIGTERM');
      const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
      await this.gone;
      clearTimeout(timer);
    }
    const problems = unexpectedLines(this.log(), this.expected);
    this.remove();
    return problems;
  }

  remove() {
    living.delete(this);
    if (this.child?.exitCode === null) this.child.kill('SIGKILL');
    if (process.env.KVS_KEEP) process.stderr.write(`kept ${this.dir}\n`);
    else fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
