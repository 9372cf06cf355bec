// Requests in pieces, and several on one connection, straight to the socket of kvs.fcgi.
import net from 'node:net';

import { readAnswer, requestRecords, sleep } from '../../maint/lib/store.mjs';

const bytes = (endpoint, body, keep) => requestRecords(endpoint, Buffer.from(JSON.stringify(body)), keep);

// Sends the request's first part at once and the rest after ms (null: never); resolves to the answer, null where there is none.
export async function inPieces(path, endpoint, body, ms) {
  const all = bytes(endpoint, body, false);
  const half = Math.floor(all.length / 2);
  const got = [];
  const socket = net.connect(path);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  socket.on('data', (data) => got.push(data));
  socket.write(all.subarray(0, half));
  if (ms !== null) {
    await sleep(ms);
    socket.write(all.subarray(half));
  }
  await closed;
  return readAnswer(Buffer.concat(got));
}

// A request whose answer the client begins to read ms later (null: never).
export async function readLate(path, endpoint, body, ms) {
  const got = [];
  const socket = net.connect(path);
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => {});
  socket.write(bytes(endpoint, body, false));
  if (ms !== null) {
    await sleep(ms);
    socket.on('data', (data) => got.push(data));
  }
  await closed;
  return readAnswer(Buffer.concat(got));
}

// A connection that is kept, for one request after the other.
export class Kept {
  constructor(path) {
    this.got = [];
    this.wake = () => {};
    this.socket = net.connect(path);
    this.socket.on('data', (data) => {
      this.got.push(data);
      this.wake();
    });
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.wake();
    });
  }

  // Resolves to the answer, 'refused' where the request could not be sent, or {lost}.
  async ask(endpoint, body) {
    this.got = [];
    const failed = await new Promise((resolve) => this.socket.write(bytes(endpoint, body, true), (error) => resolve(error ?? null)));
    if (failed) return 'refused';
    for (;;) {
      const answer = readAnswer(Buffer.concat(this.got));
      if (answer) return answer;
      if (this.closed) return { lost: this.error?.message ?? 'closed' };
      await new Promise((resolve) => {
        this.wake = resolve;
      });
    }
  }

  close() {
    this.socket.destroy();
  }
}
