// An HTTP client for the tests: bodies are bytes in both directions and nothing is done behind the caller's back.
import http from 'node:http';

import { rawAt, readJson } from './json.mjs';

const TIMEOUT = 240_000; // nothing is so slow: for requests that would never be answered
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// What came back.  text throws where the body is no UTF-8, json where it is no strict JSON.
export class Answer {
  constructor(status, headers, body) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  get text() {
    return utf8.decode(this.body);
  }

  get json() {
    const text = this.text;
    readJson(text);
    return JSON.parse(text);
  }

  // The bytes of one value of the body as they came.
  raw(...path) {
    return rawAt(this.text, ...path);
  }
}

const ignore = () => {};

export class Client {
  // base is http://127.0.0.1:PORT/MOUNT without a slash at its end.
  constructor(base, { token = null, sockets = 64 } = {}) {
    this.base = new URL(base);
    this.mount = this.base.pathname.replace(/\/$/, '');
    this.token = token;
    this.agent = new http.Agent({ keepAlive: true, maxSockets: sockets });
  }

  // Sends one request.  body is a string, bytes, or null for none; headers replace the ones made here, null takes one
  // away.  chunked sends the body without a Content-Length.
  async request({ method = 'POST', path, body = null, headers = {}, chunked = false }) {
    for (;;) {
      try {
        return await this.once({ method, path, body, headers, chunked });
      } catch (error) {
        // A server may close an idle connection just as it is used again; it has then not read the request.  The next
        // one kept may be as old; each is tried once at most.
        if (!['ECONNRESET', 'EPIPE'].includes(error.code) || !error.reused) throw error;
      }
    }
  }

  once({ method, path, body, headers, chunked }) {
    const bytes = body === null ? null : Buffer.from(body);
    const all = { ...(this.token === null ? {} : { Authorization: `Bearer ${this.token}` }) };
    if (bytes !== null) all['Content-Type'] = 'application/json';
    if (bytes !== null && !chunked) all['Content-Length'] = bytes.length;
    if (bytes === null && method === 'POST') all['Content-Length'] = 0;
    for (const [name, value] of Object.entries(headers)) {
      for (const old of Object.keys(all)) if (old.toLowerCase() === name.toLowerCase()) delete all[old];
      if (value !== null) all[name] = value;
    }
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          host: this.base.hostname,
          port: this.base.port,
          method,
          path: this.mount + path,
          headers: all,
          agent: this.agent,
          timeout: TIMEOUT,
        },
        (response) => {
          const parts = [];
          response.on('data', (part) => parts.push(part));
          response.on('end', () => resolve(new Answer(response.statusCode, response.headers, Buffer.concat(parts))));
          response.on('error', reject);
        },
      );
      // A server that answers and closes before it has read all: the socket may fail when the request is done with it.
      request.on('socket', (socket) => socket.listeners('error').includes(ignore) || socket.on('error', ignore));
      request.on('timeout', () => request.destroy(new Error(`no answer to ${path} within ${TIMEOUT} ms`)));
      request.on('error', (error) => {
        error.reused = request.reusedSocket;
        reject(error);
      });
      if (chunked && bytes !== null) {
        for (let at = 0; at < bytes.length; at += 7000) request.write(bytes.subarray(at, at + 7000));
        request.end();
      } else {
        request.end(bytes ?? undefined);
      }
    });
  }

  close() {
    this.agent.destroy();
  }
}
