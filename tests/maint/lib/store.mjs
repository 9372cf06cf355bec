// A database in a private directory, with kvs.fcgi serving it over a Unix socket (no web server is needed for these tests),
// kvs.cgi and kvs-maint beside it.  Everything is stopped by process id.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const BUILD = process.env.KVS_BUILD ? path.resolve(process.env.KVS_BUILD) : ROOT;
export const TOKEN = 'maint-test-token-8c41';

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Runs a program to its end.  begun(child) is called as soon as it has been started.
export function execute(program, args, { env = {}, input = '', cwd, begun = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { PATH: process.env.PATH, ...sanitizers(), ...env }, cwd });
    begun(child);
    const out = [];
    const err = [];
    child.stdout.on('data', (data) => out.push(data));
    child.stderr.on('data', (data) => err.push(data));
    child.on('error', reject);
    child.stdin.on('error', () => {}); // it may end without reading
    child.stdin.end(input);
    child.on('close', (code, signal) =>
      resolve({ code, signal, raw: Buffer.concat(out), out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }),
    );
  });
}

export function sanitizers() {
  const names = ['ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS', 'LSAN_OPTIONS'];
  return Object.fromEntries(names.filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
}

const length = (n) => (n < 128 ? Buffer.from([n]) : Buffer.from([(n >>> 24) | 0x80, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]));

function record(type, body, request = 1) {
  const head = Buffer.from([1, type, 0, request, body.length >> 8, body.length & 255, 0, 0]);
  return Buffer.concat([head, body]);
}

function params(pairs) {
  const parts = Object.entries(pairs).flatMap(([name, value]) => {
    const [n, v] = [Buffer.from(name), Buffer.from(String(value))];
    return [length(n.length), length(v.length), n, v];
  });
  return Buffer.concat(parts);
}

export function requestParams(endpoint, body) {
  return {
    REQUEST_METHOD: 'POST',
    SCRIPT_NAME: '',
    PATH_INFO: endpoint,
    REQUEST_URI: endpoint,
    CONTENT_TYPE: 'application/json',
    CONTENT_LENGTH: Buffer.byteLength(body),
    HTTP_AUTHORIZATION: `Bearer ${TOKEN}`,
  };
}

// A whole request in FastCGI records.  keep: the connection is to stay.
export function requestRecords(endpoint, text, keep = false) {
  const input = [];
  for (let at = 0; at < text.length; at += 32768) input.push(record(5, text.subarray(at, at + 32768)));
  return Buffer.concat([
    record(1, Buffer.from([0, 1, keep ? 1 : 0, 0, 0, 0, 0, 0])),
    record(4, params(requestParams(endpoint, text))),
    record(4, Buffer.alloc(0)),
    ...input,
    record(5, Buffer.alloc(0)),
  ]);
}

// The status and the body of a CGI answer; json is read from it when asked for.
export function parse(answer) {
  const at = answer.indexOf('\r\n\r\n');
  const status = /^Status: (\d+)/im.exec(answer.subarray(0, at).toString());
  const text = answer.subarray(at + 4).toString();
  return {
    status: status ? Number(status[1]) : 200,
    text,
    get json() {
      return text ? JSON.parse(text) : undefined;
    },
  };
}

// Whether a program that was killed had written all of its answer.
function isWhole(answer) {
  const at = answer.indexOf('\r\n\r\n');
  const size = /^Content-Length: (\d+)/im.exec(answer.subarray(0, Math.max(at, 0)).toString());
  return at >= 0 && Number(size?.[1]) === answer.length - at - 4;
}

// Whether a server answers there.  It listens before it has opened the database; until then a question waits.
function answers(where) {
  return new Promise((resolve) => {
    const socket = net.connect(where);
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    socket.on('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.write(record(9, params({ FCGI_MPXS_CONNS: '' }), 0));
  });
}

// The answer in FastCGI records; null where they are not all of it.
export function readAnswer(data) {
  const out = [];
  for (let at = 0; at + 8 <= data.length; ) {
    const size = data.readUInt16BE(at + 4);
    if (data[at + 1] === 6) out.push(data.subarray(at + 8, at + 8 + size));
    if (data[at + 1] === 3) return parse(Buffer.concat(out));
    at += 8 + size + data[at + 6];
  }
  return null;
}

export class Store {
  constructor() {
    this.dir = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-maint-'));
    this.db = path.join(this.dir, 'kv.db');
    this.socket = path.join(this.dir, 's');
    this.env = { ACCESS_TOKEN: TOKEN, KV_DB_PATH: this.db, KVS_MAINT_INTERVAL: '0', KVS_MEMORY_PATH: path.join(this.dir, 'memory.db') };
    this.children = [];
    this.stderr = '';
  }

  path(name) {
    return path.join(this.dir, name);
  }

  maint(args, options = {}) {
    const { env = {}, ...rest } = options;
    return execute(path.join(BUILD, 'tools/kvs-maint'), args, { cwd: this.dir, env: { ...this.env, ...env }, ...rest });
  }

  // One request to kvs.cgi; null where it ended without an answer (it was killed).
  async cgi(endpoint, body, { begun } = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const env = { ...this.env, ...requestParams(endpoint, text) };
    const { raw, err, signal } = await execute(path.join(BUILD, 'cgi/kvs.cgi'), [], { env, input: text, cwd: this.dir, begun });
    this.stderr += err;
    return signal === 'SIGKILL' && !isWhole(raw) ? null : parse(raw);
  }

  // Starts a server, which listens some time later.
  begin(socket) {
    const child = spawn(path.join(BUILD, 'fcgi/kvs.fcgi'), ['--listen', socket], {
      env: { PATH: process.env.PATH, ...sanitizers(), ...this.env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.on('data', (data) => {
      this.stderr += data;
    });
    child.closed = new Promise((resolve) => child.on('close', resolve));
    this.children.push(child);
    return child;
  }

  // Starts a server, and waits until it answers; the socket of one that was killed may lie there still.
  async serve(socket = this.socket) {
    const child = this.begin(socket);
    for (let i = 0; i < 400 && !(await answers(socket)); i++) await sleep(25);
    return child;
  }

  async stop() {
    for (const child of this.children.splice(0)) {
      child.kill('SIGTERM');
      await child.closed;
    }
  }

  // One request over FastCGI.  Where it fails the error's syscall is 'connect' if nothing was sent.
  request(endpoint, body, where = this.socket) {
    const text = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const socket = net.connect(where);
      const got = [];
      socket.on('error', reject);
      socket.on('data', (more) => got.push(more));
      socket.on('close', () => {
        const answer = readAnswer(Buffer.concat(got));
        if (answer) resolve(answer);
        else reject(new Error(got.length ? 'the answer was cut' : 'no answer'));
      });
      socket.write(requestRecords(endpoint, text));
    });
  }

  // The answer's body; anything but 200 is a failure.
  async ok(endpoint, body) {
    const { status, text, json } = await this.request(endpoint, body);
    if (status !== 200) throw new Error(`${endpoint}: ${status} ${text}`);
    return json;
  }

  // Writers that go on until stop() is called on what this returns: batches whose keys carry their number, one counter,
  // and the queue.  stop() answers the number of the last batch acknowledged by each writer.
  write(writers = 3) {
    let on = true;
    const one = async (w) => {
      let n = 0;
      while (on) {
        n++;
        await this.ok('/kv/atomic', {
          mutations: [
            { type: 'set', key: ['w', w, 'a'], value: n },
            { type: 'set', key: ['w', w, 'b'], value: n },
            { type: 'set', key: ['n', w, n % 50], value: 'x'.repeat(n % 700) },
            { type: 'increment', key: ['sum'] },
          ],
          enqueues: [{ payload: n, options: { topic: `w${w}` } }],
        });
        const { messages } = await this.ok('/queue/dequeue', { topic: `w${w}` });
        for (const m of messages) if (m.payload % 3) await this.ok('/queue/ack', { id: m.id, lease: m.lease });
        if (n % 7 === 0) await this.ok('/kv/delete', { key: ['n', w, (n * 3) % 50] });
      }
      return n;
    };
    const all = Promise.all(Array.from({ length: writers }, (_, w) => one(w)));
    all.catch(() => {}); // stop() tells
    return {
      stop: () => {
        on = false;
        return all;
      },
    };
  }

  // Ends everything, and says what was not expected on the way.
  async remove() {
    await this.stop();
    fs.rmSync(this.dir, { recursive: true, force: true });
    const odd = this.stderr.split('\n').filter((line) => line && !/\]: (info|debug): /.test(line));
    if (odd.length) throw new Error(`unexpected on stderr: ${odd.join('\n')}`);
  }
}

// One of everything that the store can hold.
export async function fill(s) {
  const call = (endpoint, body) => s.ok(endpoint, body);
  await call('/bucket/create', {
    name: 'kept',
    options: { history: 5, description: 'two\nlines', metadata: { a: 'ä', b: '"' }, markerTtl: 60000 },
  });
  await call('/bucket/create', { name: 'small', options: { compression: true, maxKeys: 100, maxBytes: 1000000, ttl: 9e8 } });
  await call('/bucket/create', { name: 'gone' });
  await call('/kv/set', { bucket: 'gone', key: ['x'], value: 1 });
  await call('/bucket/destroy', { name: 'gone' });
  await call('/bucket/create', { name: 'fwd', options: { republish: { filter: 'a.>', topic: 'changes', metaOnly: false } } });
  await call('/kv/set', '{"bucket":"fwd","key":["a","b"],"value":{"n":1.50,"n":2}}');
  const keys = ['["s","\\u0000",""]', '[{"$bytes":"AP8="}]', '[{"$bigint":"-123456789012345678901234567890"}]', '[1.5,-0,1e300]', '[true,false]'];
  for (const key of keys) await call('/kv/set', `{"key":${key},"value":{"text":"\\u0000\\ud800","n":[1.0,1e400,123456789012345678901234567890]}}`);
  for (let i = 0; i < 8; i++) await call('/kv/set', { bucket: 'kept', key: ['k'], value: i });
  await call('/kv/set', { bucket: 'kept', key: ['bytes'], valueBase64: Buffer.from([0, 1, 255]).toString('base64') });
  await call('/kv/delete', { bucket: 'kept', key: ['bytes'] });
  await call('/kv/set', { bucket: 'kept', key: ['p'], value: null });
  await call('/kv/purge', { bucket: 'kept', key: ['p'] });
  await call('/kv/set', { bucket: 'small', key: ['long'], value: 'long '.repeat(2000), ttl: 1e8 });
  for (let i = 0; i < 2; i++) await call('/queue/enqueue', { topic: 't', payload: { i }, priority: i, backoff: [1, 20], dedupeId: `id${i}` });
  await call('/queue/enqueue', { topic: 't', payloadBase64: 'AAH/', delay: 1e9 });
  await call('/queue/enqueue', { topic: 'dead', payload: 'd', maxAttempts: 1 });
  const dead = await call('/queue/dequeue', { topic: 'dead' });
  await call('/queue/nack', { id: dead.messages[0].id, lease: dead.messages[0].lease });
  await call('/queue/dequeue', { topic: 't' });
  const { id } = await call('/queue/enqueue', { topic: 'u', payload: 0, dedupeId: 'done ü' });
  await call('/queue/ack', { id });
  await call('/lock/acquire', { name: 'lock', ttl: 1e8, owner: 'me' });
}
