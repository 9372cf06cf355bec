// Prints the system calls that kvs.fcgi makes while it serves all kinds of requests, and kvs-maint in a run and a check, one
// a line, sorted.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

import { Deployment } from '../../http/lib/servers.mjs';
import { Session } from '../../http/lib/session.mjs';

// The leak sanitizer stops and inspects a program's threads at its end; that is no call of ours.
process.env.ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:detect_leaks=0`;
const trace = (file) => ['/usr/bin/strace', '-f', '-qq', '-o', file];

const deployment = new Deployment('nginx-fastcgi', { settings: { maint_interval: 1 } });
const files = ['fcgi', 'run', 'check'].map((name) => deployment.file(`trace.${name}`));
deployment.wrap = trace(files[0]);
await deployment.start();
const s = new Session(deployment);
await s.ok('/bucket/create', { name: 'mem', options: { storage: 'memory' } });
await s.ok('/kv/set', { bucket: 'mem', key: ['a'], value: 1 });
await s.ok('/bucket/create', { name: 'packed', options: { compression: true, history: 3 } });
await s.ok('/kv/set', { bucket: 'packed', key: ['a'], value: 'long '.repeat(100_000) });
const poll = s.ok('/queue/dequeue', { topic: 'calls', waitMs: 5000 });
await s.set(['short'], 1, { ttl: 1 });
await s.enqueue('calls', 1);
await poll;
await deployment.client.request({ method: 'GET', path: '/metrics' });
await s.until('maintenance', async () => (await s.get(['short'], { markers: true }))?.operation === 'EXPIRE');
const env = deployment.environment();
const { uid, gid } = deployment.user;
for (const [i, command] of ['run', 'check'].entries()) {
  const [program, ...args] = [...trace(files[i + 1]), deployment.file('bin/kvs-maint'), command];
  execFileSync(program, args, { env, uid, gid, stdio: 'ignore' });
}
await deployment.end();
const names = new Set();
for (const file of files) {
  for (const [, name] of fs.readFileSync(file, 'utf8').matchAll(/^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)/gm)) names.add(name);
}
deployment.remove();
process.stdout.write(`${[...names].sort().join('\n')}\n`);
