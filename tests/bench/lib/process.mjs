// Programs that a benchmark starts: in a private directory, on free ports, ended by process id.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { listens } from '../../lib/listens.mjs';

const START_MS = 20_000;
const STOP_MS = 15_000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const children = new Set();
let directory;

// The private directory, removed at the end.
export function workDir() {
  directory ??= fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-bench-'));
  return directory;
}

export const work = (name) => path.join(workDir(), name);

// An installed program's path, or undefined.
export function find(name) {
  const places = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return places.map((place) => path.join(place, name)).find((file) => fs.existsSync(file));
}

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

// Starts a program; its output goes to a log in the private directory.
export function start(label, program, args, env = {}) {
  const log = fs.openSync(work(`${label}.log`), 'a');
  const options = { cwd: workDir(), env: { ...process.env, ...env }, stdio: ['ignore', log, log] };
  const child = spawn(program, args, options);
  fs.closeSync(log);
  child.label = label;
  child.gone = new Promise((resolve) => {
    child.once('exit', resolve);
    child.once('error', (error) => {
      child.failed = error;
      resolve();
    });
  });
  children.add(child);
  child.gone.then(() => children.delete(child));
  return child;
}

export async function stop(child) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await child.gone;
  clearTimeout(timer);
}

// Waits until the child listens there: a path, or { host, port }.
export async function listening(child, where) {
  const deadline = Date.now() + START_MS;
  while (!(await listens(where))) {
    if (child.exitCode !== null || child.failed || Date.now() > deadline) {
      const log = fs.readFileSync(work(`${child.label}.log`), 'utf8');
      throw new Error(`${child.label} does not start: ${child.failed?.message ?? log}`);
    }
    await sleep(20);
  }
}

// Runs a program to its end; its standard output.
export function run(program, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: workDir(), env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    children.add(child);
    child.stdout.on('data', (data) => (out += data));
    child.stderr.on('data', (data) => (err += data));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      children.delete(child);
      if (code === 0) resolve(out);
      else reject(new Error(`${path.basename(program)} ${args.join(' ')} ended with ${code ?? signal}: ${err || out}`));
    });
  });
}

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  if (directory !== undefined) fs.rmSync(directory, { recursive: true, force: true });
});
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
  process.on(signal, () => process.exit(128 + number));
}
