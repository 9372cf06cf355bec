// The three programs at a database, as some user, each to its end.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { BUILD, TOKEN, parse, requestParams, sanitizers } from '../../maint/lib/store.mjs';

export const NOBODY = 65534;
export const isRoot = process.getuid() === 0;

// A directory of this run's own that every user can enter, with copies of the programs: the build may lie where they cannot.
export class Host {
  constructor() {
    this.dir = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-hosts-'));
    fs.chmodSync(this.dir, 0o755);
    for (const program of ['fcgi/kvs.fcgi', 'cgi/kvs.cgi', 'tools/kvs-maint']) {
      const copy = path.join(this.dir, path.basename(program));
      fs.copyFileSync(path.join(BUILD, program), copy);
      fs.chmodSync(copy, 0o755);
    }
    this.socket = path.join(this.place('run'), 'socket');
  }

  path(...names) {
    return path.join(this.dir, ...names);
  }

  // A new directory that belongs to whoever runs the programs.
  place(name, mode = 0o700) {
    const dir = this.path(name);
    fs.mkdirSync(dir);
    if (isRoot) fs.chownSync(dir, NOBODY, NOBODY);
    fs.chmodSync(dir, mode);
    return dir;
  }

  remove() {
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  // root is above permissions, so that where the tests run as root the programs run as nobody.
  run(program, args, { env = {}, input = '', stderr = 'pipe', before = '' } = {}) {
    const who = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : ['env'];
    const command = `${before}exec "$0" "$@"`;
    return new Promise((resolve, reject) => {
      const child = spawn('sh', ['-c', command, ...who, this.path(program), ...args], {
        env: { PATH: process.env.PATH, ACCESS_TOKEN: TOKEN, ...sanitizers(), ...env },
        cwd: this.dir,
        stdio: ['pipe', 'pipe', stderr],
      });
      const out = [];
      const err = [];
      child.stdout.on('data', (data) => out.push(data));
      child.stderr?.on('data', (data) => err.push(data));
      child.on('error', reject);
      child.stdin.on('error', () => {});
      child.stdin.end(input);
      const timer = setTimeout(() => child.kill('SIGTERM'), 60_000); // a server that was not refused
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        resolve({ code, signal, raw: Buffer.concat(out), err: Buffer.concat(err).toString() });
      });
    });
  }

  maint(args, options) {
    return this.run('kvs-maint', args, options);
  }

  fcgi(options) {
    return this.run('kvs.fcgi', ['--listen', this.socket], options);
  }

  async cgi(endpoint, body, options = {}) {
    const input = JSON.stringify(body);
    const env = { ...requestParams(endpoint, input), ...options.env };
    const { raw, err } = await this.run('kvs.cgi', [], { ...options, env, input });
    return { ...parse(raw), err };
  }
}

// Whether a file system can be mounted for this run alone.
export function mayMount() {
  return spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs -o size=64k tmpfs /mnt'], { stdio: 'ignore' }).status === 0;
}
