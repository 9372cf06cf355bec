// Starts one deployment (a web server with the programs behind it) in a private directory on a free port, and stops it
// by process id.  The configurations are the samples of deploy/, so that what is tested is what is documented.
//
// Everything runs as one ordinary user: as root the servers are started as www-data, who also owns the directory.
import { spawn, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { listens } from '../../lib/listens.mjs';
import { Client } from './client.mjs';
import { DEPLOYMENTS } from './deployments.mjs';
import { STOPPING, unexpectedLines } from './logs.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const BUILD = process.env.KVS_BUILD ? path.resolve(process.env.KVS_BUILD) : ROOT;
const START_MS = 30_000;
const STOP_MS = 60_000;
const SANITIZERS = ['ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS', 'LSAN_OPTIONS'];

export const TOKEN = 'test-token-6f1d2c';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Whether promise is settled within ms.
async function within(ms, promise) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const settled = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return settled;
}

// The user that everything runs as.
function runAs() {
  if (process.getuid() !== 0) return { name: os.userInfo().username };
  const id = (flag) => Number(execFileSync('id', [flag, 'www-data'], { encoding: 'utf8' }));
  return { name: 'www-data', uid: id('-u'), gid: id('-g') };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function findProgram(names) {
  const found = names.find((name) => fs.existsSync(name));
  if (found === undefined) throw new Error(`${names[0]} is not installed (./tests/run installs what the tests need)`);
  return found;
}

// Processes whose program lies below dir; what a server left behind, found without any name.
export function processesBelow(dir) {
  const found = [];
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(entry)) continue;
    try {
      if (fs.readlinkSync(`/proc/${entry}/exe`).startsWith(`${dir}/`)) found.push(Number(entry));
    } catch {
      // Gone meanwhile, a kernel thread, or another user's.
    }
  }
  return found;
}

const running = (child) => child.exitCode === null && child.signalCode === null && child.failed === undefined;

const living = new Set();
process.on('exit', () => {
  for (const deployment of living) {
    deployment.killAll();
    deployment.remove();
  }
});
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
  process.on(signal, () => process.exit(128 + number));
}

export class Deployment {
  constructor(name, options) {
    this.name = name;
    this.kind = DEPLOYMENTS[name];
    if (this.kind === undefined) throw new Error(`no deployment ${name}`);
    this.mount = options.mount === '/' ? '' : (options.mount ?? '/kvs');
    this.token = options.token ?? TOKEN;
    this.settings = options.settings ?? {};
    this.sections = options.sections ?? []; // lines that stand behind the settings
    this.leaks = options.leaks ?? false; // kvs.cgi looks for leaks at its end
    this.wrap = options.wrap ?? []; // a command that runs kvs.fcgi, as strace does
    this.edit = options.edit ?? ((text) => text); // the server's configuration, made wrong
    this.broken = options.broken ?? false; // counts as started with the first answer, whatever it is
    this.user = runAs();
    this.dir = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-http-'));
    this.dbPath = options.dbPath ?? path.join(this.dir, 'data', 'kv.db');
    this.children = [];
    this.expected = []; // log lines (RegExp) that a test has announced
  }

  get mode() {
    return this.kind.mode;
  }

  file(name) {
    return path.join(this.dir, name);
  }

  // Copies of the programs, so that the user they run as can reach them wherever the build tree lies.
  prepare() {
    for (const sub of ['bin', 'data', 'www', 'tmp']) fs.mkdirSync(this.file(sub), { mode: 0o700 });
    for (const program of ['fcgi/kvs.fcgi', 'cgi/kvs.cgi', 'tools/kvs-maint']) {
      const from = path.join(BUILD, program);
      if (!fs.existsSync(from)) throw new Error(`${from} is missing: build first, or set KVS_BUILD to the build tree`);
      fs.copyFileSync(from, this.file(`bin/${path.basename(program)}`));
      fs.chmodSync(this.file(`bin/${path.basename(program)}`), 0o755);
    }
    // Maintenance would take revisions of its own at moments that no test can know.
    const settings = { maint_interval: 0, ...this.settings };
    const lines = [`access_token = ${this.token}`, `db_path = ${this.dbPath}`];
    for (const [name, value] of Object.entries(settings)) if (value !== null) lines.push(`${name} = ${value}`);
    lines.push(...this.sections);
    fs.writeFileSync(this.file('kvs.conf'), `${lines.join('\n')}\n`, { mode: 0o600 });
    this.kind.place?.(this);
  }

  writeServerConf() {
    const values = {
      PORT: this.port,
      DIR: this.dir,
      SOCKET: this.file('kvs.sock'),
      FCGI: this.file('bin/kvs.fcgi'),
      CGI: this.file('bin/kvs.cgi'),
      WWW: this.file('www'),
      MOUNT: this.mount,
      PREFIX: this.mount === '' ? '/' : this.mount,
      USER: this.user.name,
    };
    let text = fs.readFileSync(path.join(ROOT, this.kind.conf), 'utf8');
    text = this.edit(text).replace(/@([A-Z]+)@/g, (whole, name) => (name in values ? String(values[name]) : whole));
    const unknown = text.match(/^[^#\n]*@[A-Z]+@/m);
    if (unknown !== null) throw new Error(`${this.kind.conf}: placeholder not known: ${unknown[0]}`);
    const extra = this.kind.server.extra[this.name];
    for (const [name, value] of Object.entries(this.sanitizers())) {
      if (extra) text += extra(name, value);
      // lighttpd's CGI programs get what stands beside KVS_CONFIG and nothing else.
      else text = text.replace('( "KVS_CONFIG" =>', `( "${name}" => "${value}", "KVS_CONFIG" =>`);
    }
    fs.writeFileSync(this.file('server.conf'), text);
  }

  own() {
    if (this.user.uid === undefined) return;
    const own = (name) => {
      fs.lchownSync(name, this.user.uid, this.user.gid);
      if (fs.lstatSync(name).isDirectory()) for (const sub of fs.readdirSync(name)) own(path.join(name, sub));
    };
    own(this.dir);
  }

  // The sanitizers' options.  The search for leaks at its end takes kvs.cgi five times as long as the request; it is done
  // where options.leaks asks for it.  What it shares with kvs.fcgi is searched there.
  sanitizers() {
    const set = Object.fromEntries(SANITIZERS.map((name) => [name, process.env[name]]).filter(([, value]) => value));
    if (this.mode === 'cgi' && !this.leaks) set.ASAN_OPTIONS = [set.ASAN_OPTIONS, 'detect_leaks=0'].filter(Boolean).join(':');
    return set;
  }

  environment() {
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', TMPDIR: this.file('tmp') };
    return { ...env, ...this.sanitizers(), KVS_CONFIG: this.file('kvs.conf') };
  }

  run(label, program, args, env = {}) {
    const log = fs.openSync(this.file(`${label}.log`), 'a');
    const { uid, gid } = this.user;
    const stdio = ['ignore', log, log];
    // A process group of its own, so that a server's workers can be ended with it.
    const options = { cwd: this.dir, env: { ...this.environment(), ...env }, stdio, uid, gid, detached: true };
    const child = spawn(program, args, options);
    fs.closeSync(log);
    child.gone = new Promise((resolve) => {
      child.once('error', (error) => {
        child.failed = error;
        resolve();
      });
      child.once('exit', resolve);
    });
    this.children.push(child);
    return child;
  }

  // kvs.fcgi (or what stands for it) beside the server, which would complain if it came first.
  async startFcgi() {
    const socket = this.file('kvs.sock');
    const command = this.kind.beside(this, socket);
    const child = this.run('kvs', command[0], command.slice(1));
    this.fcgi = child;
    const deadline = Date.now() + START_MS;
    while (!(await listens(socket)) && running(child) && Date.now() < deadline) await sleep(20);
  }

  // Asks the kvs.fcgi of startFcgi to stop; answers how it ended and after how many ms.
  async stopFcgi(signal) {
    const child = this.fcgi;
    const started = performance.now();
    tryKill(child.pid, signal);
    await within(STOP_MS, child.gone);
    await this.disperse(child);
    this.children = this.children.filter((other) => other !== child);
    return { code: child.exitCode, signal: child.signalCode, ms: performance.now() - started };
  }

  startServer() {
    const { program, args, env } = this.kind.server;
    return this.run('server', findProgram(program), args(this.file('server.conf'), this.dir, this.port), env?.(this.dir));
  }

  async start() {
    living.add(this);
    try {
      await this.tryStart();
      return this;
    } catch (error) {
      await this.end();
      this.remove();
      throw error;
    }
  }

  async tryStart() {
    this.prepare();
    for (let tries = 1; ; tries += 1) {
      this.port = await freePort();
      this.writeServerConf();
      this.own();
      if (this.kind.beside) await this.startFcgi();
      this.startServer();
      this.client?.close();
      this.client = new Client(`http://127.0.0.1:${this.port}${this.mount}`, { token: this.token });
      const problem = await this.whenHealthy();
      if (problem === null) return;
      const logs = this.logs();
      await this.end();
      // Another process may have taken the port between its choice and its use.
      if (tries < 3 && /address already in use/i.test(logs)) continue;
      throw new Error(`${this.name} does not start: ${problem}\n${logs}`);
    }
  }

  async whenHealthy() {
    const deadline = Date.now() + START_MS;
    let last = 'no answer';
    while (Date.now() < deadline) {
      const dead = this.children.find((child) => !running(child));
      if (dead) return dead.failed?.message ?? `${dead.spawnfile} exited with ${dead.exitCode ?? dead.signalCode}`;
      try {
        const answer = await this.client.request({ method: 'GET', path: '/health' });
        if (answer.status === 200 || this.broken) return null;
        last = `health answers ${answer.status}: ${answer.body}`;
      } catch (error) {
        last = error.message;
      }
      await sleep(50);
    }
    return last;
  }

  // All that was logged, by the server and by the programs.
  logs() {
    const parts = [];
    for (const name of fs.readdirSync(this.dir)) {
      if (!/\.(log|err)$/.test(name)) continue;
      const text = fs.readFileSync(this.file(name), 'utf8');
      if (text !== '') parts.push(`--- ${name}\n${text}`);
    }
    return parts.join('');
  }

  killAll() {
    for (const child of this.children) {
      if ((running(child) || (this.kind.flock && child === this.fcgi)) && child.pid) tryKill(-child.pid, 'SIGKILL');
    }
    for (const pid of processesBelow(this.dir)) tryKill(pid, 'SIGKILL');
  }

  // fcgiwrap's own processes outlive it, and while it lives it starts others in their place.
  async disperse(child) {
    if (!this.kind.flock || child !== this.fcgi) return;
    const deadline = Date.now() + STOP_MS;
    while (tryKill(-child.pid, 'SIGTERM') && Date.now() < deadline) await sleep(5);
  }

  // A wrapping command is not asked: strace keeps such signals for itself, and ends with the program it runs.
  terminate(child) {
    const wrapped = child.spawnfile === this.wrap[0];
    for (const pid of wrapped ? processesBelow(this.dir) : [child.pid]) tryKill(pid, 'SIGTERM');
  }

  // Ends the processes, the web server first; answers what was wrong with that.
  async end() {
    const problems = [];
    for (const child of this.children.reverse()) {
      if (running(child)) this.terminate(child);
      if (!(await within(STOP_MS, child.gone))) problems.push(`${child.spawnfile} still runs ${STOP_MS} ms after SIGTERM`);
      await this.disperse(child);
    }
    const deadline = Date.now() + STOP_MS;
    while (processesBelow(this.dir).length > 0 && Date.now() < deadline) await sleep(20);
    for (const pid of processesBelow(this.dir)) problems.push(`process ${pid} was left behind`);
    this.killAll();
    this.children = [];
    return problems;
  }

  // The data of memory buckets, which by default lies outside the directory.
  removeMemory() {
    const found = fs.statSync(this.dbPath, { bigint: true, throwIfNoEntry: false });
    if (found === undefined) return;
    const name = `/dev/shm/kvs-${found.dev.toString(16)}-${found.ino.toString(16)}.db`;
    for (const file of ['', '-wal', '-shm', '.lock']) fs.rmSync(name + file, { force: true });
  }

  remove() {
    living.delete(this);
    if (process.env.KVS_KEEP) {
      process.stderr.write(`kept ${this.dir}\n`);
      return;
    }
    this.removeMemory();
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  // Stops everything and answers the problems seen: processes that stayed, log lines that nothing announced.
  async stop() {
    if (!living.has(this)) return [];
    this.client?.close();
    const before = unexpectedLines(this.logs(), this.expected);
    const problems = await this.end();
    const after = unexpectedLines(this.logs(), [...this.expected, ...STOPPING]);
    problems.push(...before, ...after.filter((line) => !before.includes(line)));
    this.remove();
    return problems;
  }
}

function tryKill(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // already gone
  }
}

// options: mount ('/kvs'), token, settings (further lines of kvs.conf), sections (lines behind them), dbPath, leaks, wrap,
// edit, broken.
export function startDeployment(name, options = {}) {
  return new Deployment(name, options).start();
}
