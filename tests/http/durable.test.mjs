// Durable means durable: seen through strace, no write is answered before a sync of the log that began after the write
// had arrived.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { describe, it } from 'node:test';

import { startDeployment } from './lib/servers.mjs';
import { Session } from './lib/session.mjs';

const CALLS = 'read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,fsync,fdatasync';
const CLIENTS = 16;
const WRITES = 20;

// Whether this process may trace another; says why not.
function cannotTrace() {
  const found = spawnSync('strace', ['-V']);
  if (found.error) return 'strace is not installed';
  const tried = spawnSync('strace', ['-o', '/dev/null', '-e', 'trace=none', 'true'], { encoding: 'utf8' });
  return tried.status === 0 ? false : `ptrace is not permitted here: ${tried.stderr.trim().split('\n')[0]}`;
}

// The calls of a trace as {order begun, order ended, name, file, text}; calls that strace split in two are joined.
function readTrace(text) {
  const calls = [];
  const open = new Map();
  for (const [order, line] of text.split('\n').entries()) {
    const [, pid, rest] = line.match(/^(\d+)\s+(.*)$/) ?? [];
    if (pid === undefined) continue;
    const resumed = rest.match(/^<\.\.\. (\w+) resumed>(.*)$/);
    if (resumed) {
      const call = open.get(pid);
      if (call) Object.assign(call, { ended: order, text: call.text + resumed[2] });
      open.delete(pid);
      continue;
    }
    const begun = rest.match(/^(\w+)\((\d+)<(.*?)>(.*)$/);
    if (!begun) continue;
    const call = { begun: order, ended: order, name: begun[1], fd: begun[2], file: begun[3], text: begun[4] };
    calls.push(call);
    if (rest.endsWith('<unfinished ...>')) open.set(pid, call);
  }
  return calls;
}

// For each marked write: the line where its request had arrived and the line where its answer began to leave.
function spans(calls) {
  const waiting = new Map(); // by descriptor
  const found = new Map();
  for (const call of calls) {
    if (!/^(socket|UNIX|TCP)/.test(call.file)) continue;
    const mark = call.text.match(/mark-\d+-\d+-end/);
    if (/^(read|recv)/.test(call.name)) {
      if (mark) waiting.set(call.fd, { mark: mark[0], arrived: call.ended });
    } else if (/"revision/.test(call.text.replaceAll('\\', '')) && waiting.has(call.fd)) {
      const { mark: own, arrived } = waiting.get(call.fd);
      found.set(own, { arrived, left: call.begun });
      waiting.delete(call.fd);
    }
  }
  return found;
}

describe('durability, seen by strace', () => {
  const skip = cannotTrace();
  it('the log is synced after each write arrives and before its answer leaves', { skip }, async (t) => {
    const trace = fs.mkdtempSync(`${process.env.TMPDIR ?? '/tmp'}/kvs-trace-`);
    fs.chmodSync(trace, 0o777);
    t.after(() => fs.rmSync(trace, { recursive: true }));
    const file = `${trace}/calls`;
    // The leak sanitizer cannot work below strace.
    const strace = ['strace', '-f', '-y', '-s', '2000', '-e', `trace=${CALLS}`, '-e', 'signal=none', '-o', file];
    const wrap = ['env', 'LSAN_OPTIONS=detect_leaks=0', ...strace];
    const deployment = await startDeployment('nginx-fastcgi', { wrap });
    try {
      const clients = Array.from({ length: CLIENTS }, async (_, i) => {
        const s = new Session(deployment);
        for (let n = 0; n < WRITES; n += 1) await s.set(s.key('a'), `mark-${i}-${n}-end`);
      });
      await Promise.all(clients);
    } finally {
      assert.deepEqual(await deployment.stop(), []);
    }
    const calls = readTrace(fs.readFileSync(file, 'utf8'));
    const syncs = calls.filter((call) => /^f(data)?sync$/.test(call.name) && call.file.endsWith('-wal'));
    const writes = spans(calls);
    assert.equal(writes.size, CLIENTS * WRITES, 'every write was found in the trace');
    for (const [mark, { arrived, left }] of writes) {
      const between = syncs.some((sync) => sync.begun > arrived && sync.ended < left && / = 0/.test(sync.text));
      assert.ok(between, `${mark} arrived in line ${arrived} and was answered in line ${left} without a sync between`);
    }
    t.diagnostic(`${writes.size} writes of ${CLIENTS} clients, ${syncs.length} syncs of the log`);
    assert.ok(syncs.length < writes.size, 'writes that wait together share a sync');
  });
});
