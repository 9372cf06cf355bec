// Hostile peers, in a process of their own so that what they cost themselves is not taken for what they cost others.
//
//   const crowd = new Crowd(socketPath, token);
//   await crowd.open('halfBody', 250);   // that many of a kind
//   await crowd.state();                 // { open, ended, answered }
//   await crowd.leave();                 // all at once
//   await crowd.end();                   // and the process
import { fork } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

import { ABORT, BEGIN, record, requestRecords } from '../../watch/lib/fcgi.mjs';

const TICK_MS = 20;
const BODY = Buffer.from('{"key":["good"]}'.padEnd(40));

export class Crowd {
  constructor(socketPath, token) {
    this.child = fork(fileURLToPath(import.meta.url), [socketPath, token], { execArgv: [] });
    this.ended = new Promise((resolve) => this.child.once('exit', resolve));
  }

  ask(message) {
    return new Promise((resolve, reject) => {
      const gone = (code) => reject(new Error(`the crowd ended with ${code}`));
      this.child.once('exit', gone);
      this.child.once('message', (answer) => {
        this.child.off('exit', gone);
        resolve(answer);
      });
      this.child.send(message);
    });
  }

  open(kind, count) {
    return this.ask({ kind, count });
  }

  state() {
    return this.ask({ kind: 'state' });
  }

  leave() {
    return this.ask({ kind: 'leave' });
  }

  async end() {
    if (this.child.connected) this.child.disconnect();
    await this.ended;
  }
}

// --- In the process of its own ---

const [socketPath, token] = process.argv.slice(2);
const peers = new Set();
const count = { ended: 0, answered: 0 };

const request = (path, object) => requestRecords(path, token, Buffer.from(JSON.stringify(object)));
const whole = (path, object) => Buffer.concat(request(path, object));
const first = (buffer) => buffer.subarray(0, buffer.length >> 1);

// A byte at a time from a place on.
function slowly(peer, bytes, from) {
  peer.socket.write(bytes.subarray(0, from));
  let at = from;
  peer.tick = () => {
    if (at < bytes.length) peer.socket.write(bytes.subarray(at, ++at));
  };
}

// What each kind does once it is connected.
const kinds = {
  silent() {},
  halfHead(peer) {
    const [begin, params] = request('/kv/get', { key: ['good'] });
    peer.socket.write(Buffer.concat([begin, first(params)]));
  },
  halfBody(peer) {
    const [begin, params, end, body] = request('/kv/get', { key: ['good'], pad: 'x'.repeat(500) });
    peer.socket.write(Buffer.concat([begin, params, end, first(body)]));
  },
  slowHead(peer) {
    slowly(peer, whole('/kv/get', { key: ['good'] }), 1);
  },
  slowBody(peer) {
    const records = requestRecords('/kv/get', token, BODY);
    slowly(peer, Buffer.concat(records), Buffer.concat(records.slice(0, 3)).length);
  },
  // Takes back what it has begun, for ever.
  abort(peer) {
    const [, params, end, body] = request('/kv/set', { key: ['never'], value: 'x'.repeat(1000) });
    const begin = record(BEGIN, Buffer.from([0, 1, 1, 0, 0, 0, 0, 0]));
    const begun = [[begin], [begin, params], [begin, params, end], [begin, params, end, first(body).fill(0, 8)]];
    begun[3][3] = record(5, body.subarray(8, 400));
    let turn = 0;
    peer.tick = () => peer.socket.write(Buffer.concat([...begun[turn++ % begun.length], record(ABORT)]));
  },
  // Asks and goes, in floods: never to be heard of again.
  leave(peer) {
    const bodies = [whole('/kv/get', { key: ['good'] }), whole('/kv/watch', { include: 'updates' }), first(whole('/kv/get', {}))];
    let turn = 0;
    peer.tick = () => {
      const socket = net.connect(socketPath, () => socket.write(bodies[turn++ % bodies.length], () => socket.destroy()));
      socket.on('error', () => {});
    };
  },
  deafWatch(peer) {
    peer.socket.pause();
    peer.socket.write(whole('/kv/watch', { include: 'updates', filter: 'loud.>' }));
  },
  deafAnswer(peer) {
    peer.socket.pause();
    peer.socket.write(whole('/kv/list', { prefix: ['loud'], limit: 1000 }));
  },
};

function enter(kind) {
  return new Promise((resolve) => {
    const peer = { socket: net.connect(socketPath) };
    peers.add(peer);
    peer.socket.on('connect', () => {
      kinds[kind](peer);
      resolve();
    });
    if (!kind.startsWith('deaf'))
      peer.socket.on('data', (data) => {
        if (data.includes('Status: 200')) count.answered++;
      });
    peer.socket.on('error', resolve);
    peer.socket.on('close', () => {
      if (peers.delete(peer)) count.ended++;
      resolve();
    });
  });
}

function leave() {
  for (const peer of peers) peer.socket.destroy();
  peers.clear();
}

const answers = {
  state() {},
  leave,
};

async function serve(message) {
  if (answers[message.kind]) answers[message.kind]();
  else await Promise.all(Array.from({ length: message.count }, () => enter(message.kind)));
  process.send({ open: peers.size, ...count });
}

if (process.send && process.argv[1] === fileURLToPath(import.meta.url)) {
  const timer = setInterval(() => {
    for (const peer of peers) peer.tick?.();
  }, TICK_MS);
  process.on('message', serve);
  process.on('disconnect', () => {
    clearInterval(timer);
    leave();
  });
}
