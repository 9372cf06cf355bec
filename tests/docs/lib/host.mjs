// A host in a directory, as the Debian package leaves it: its paths lie below that directory, systemd is stood in for by
// lib/host/, and the package's lighttpd settings serve on a free port.  Commands of documents run in it as they are
// written, but for the paths.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort, sleep } from '../../bench/lib/process.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const BUILD = process.env.KVS_BUILD ? path.resolve(process.env.KVS_BUILD) : ROOT;
const PLACES = ['/var/lib/kvs', '/var/backups', '/etc/kvs', '/run/kvs'];
export const TOKEN = 'operations-test-token-1b7e';

export class Host {
  constructor() {
    this.dir = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-host-'));
    this.token = TOKEN;
  }

  file(name) {
    return path.join(this.dir, name);
  }

  async start() {
    for (const place of [...PLACES, '/bin', '/www']) fs.mkdirSync(this.file(place), { recursive: true, mode: 0o700 });
    for (const program of ['fcgi/kvs.fcgi', 'cgi/kvs.cgi', 'tools/kvs-maint']) {
      fs.symlinkSync(path.join(BUILD, program), this.file(`bin/${path.basename(program)}`));
    }
    fs.writeFileSync(this.file('journal'), '');
    this.configure();
    this.port = await freePort();
    await this.run('systemctl start kvs.socket kvs.service');
    await this.startLighttpd();
  }

  // What postinst makes of the sample.
  configure() {
    const sample = fs.readFileSync(path.join(ROOT, 'deploy/kvs.conf.sample.in'), 'utf8');
    const text = sample
      .replace(/^;access_token = .*$/m, `access_token = ${TOKEN}`)
      .replaceAll('@localstatedir@', '/var')
      .replaceAll('@sysconfdir@', '/etc');
    fs.writeFileSync(this.file('etc/kvs/kvs.conf'), this.here(text), { mode: 0o600 });
  }

  // Text with the paths of a real host as they are in this one.
  here(text) {
    const moved = PLACES.reduce((all, place) => all.replace(new RegExp(`${place}(?![\\w-])`, 'g'), this.file(place)), text);
    return moved.replaceAll('http://127.0.0.1/kvs', `http://127.0.0.1:${this.port}/kvs`);
  }

  environment() {
    const lib = fileURLToPath(new URL('host', import.meta.url));
    return {
      ...process.env,
      PATH: `${lib}:${this.file('bin')}:${process.env.PATH}:/usr/sbin:/sbin`,
      HOST: this.dir,
      SOURCE: ROOT,
      UNITS: path.join(ROOT, 'deploy/systemd'),
      KVS_CONFIG: this.file('etc/kvs/kvs.conf'),
    };
  }

  // Runs commands in one shell; rejects with what was said where one fails.
  run(commands) {
    return new Promise((resolve, reject) => {
      const options = { cwd: this.dir, env: this.environment(), encoding: 'utf8', timeout: 120_000 };
      execFile('/bin/bash', ['-eu', '-o', 'pipefail', '-c', this.here(commands)], options, (error, out, err) => {
        if (error) reject(new Error(`${commands}\nstatus ${error.code}\n${out}${err}`));
        else resolve(out);
      });
    });
  }

  async startLighttpd() {
    const settings = this.here(fs.readFileSync(path.join(ROOT, 'deploy/debian/server/lighttpd/50-kvs.conf'), 'utf8'));
    const lines = [
      'server.modules = ( "mod_fastcgi" )',
      'server.bind = "127.0.0.1"',
      `server.port = ${this.port}`,
      `server.document-root = "${this.file('www')}"`,
      `server.errorlog = "${this.file('lighttpd.log')}"`,
      settings,
    ];
    fs.writeFileSync(this.file('lighttpd.conf'), `${lines.join('\n')}\n`);
    this.lighttpd = spawn('/usr/sbin/lighttpd', ['-D', '-f', this.file('lighttpd.conf')], { stdio: 'ignore' });
    this.gone = new Promise((resolve) => this.lighttpd.once('close', resolve));
    for (let i = 0; i < 500; i += 1) {
      const answer = await fetch(`http://127.0.0.1:${this.port}/kvs/health`).catch(() => null);
      if (answer?.status === 200) return;
      await sleep(20);
    }
    throw new Error(`no answer through lighttpd:\n${fs.readFileSync(this.file('lighttpd.log'), 'utf8')}`);
  }

  // One request through lighttpd.
  async post(endpoint, body, token = this.token) {
    // A connection of its own: a server may close one that is kept just when the next request is sent.
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', Connection: 'close' };
    const answer = await fetch(`http://127.0.0.1:${this.port}/kvs${endpoint}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: answer.status, headers: answer.headers, json: await answer.json() };
  }

  async stop() {
    if (fs.existsSync(this.file('run/kvs/kvs.pid'))) await this.run('systemctl stop kvs.service');
    this.lighttpd?.kill('SIGTERM');
    await this.gone;
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
