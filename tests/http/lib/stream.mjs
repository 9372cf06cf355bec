// Streams of /kv/watch and /queue/listen as a client sees them: NDJSON lines or server-sent events, one object at a time.
import assert from 'node:assert/strict';
import http from 'node:http';

import { Answer } from './client.mjs';

const PATIENCE = 120_000;

// One event's fields; comments and other fields are none of ours.
function eventFields(block) {
  const fields = {};
  for (const line of block.split('\n')) {
    const found = line.match(/^(id|event|data): (.*)$/);
    assert.ok(found, `a line that is no field of an event: ${JSON.stringify(line)}`);
    const [, name, value] = found;
    assert.ok(!(name in fields), `${name} twice in ${block}`);
    fields[name] = value;
  }
  return fields;
}

export class Stream {
  constructor(request, response, events) {
    this.request = request;
    this.headers = response.headers;
    this.events = events;
    this.seen = []; // objects; with events each has its fields in `fields`
    this.fields = [];
    this.at = 0;
    this.over = false;
    this.text = '';
    this.wake = () => {};
    response.setEncoding('utf8');
    response.on('data', (text) => this.take(text));
    response.on('end', () => this.finish());
    response.on('close', () => this.finish());
    response.on('error', () => this.finish());
  }

  take(text) {
    this.text += text;
    const separator = this.events ? '\n\n' : '\n';
    const parts = this.text.split(separator);
    this.text = parts.pop();
    for (const part of parts) {
      const fields = this.events ? eventFields(part) : { data: part };
      this.fields.push(fields);
      this.seen.push(JSON.parse(fields.data));
    }
    this.wake();
  }

  finish() {
    this.over = true;
    this.wake();
  }

  // Waits until ready() answers something but undefined.
  async wait(what, ready, ms = PATIENCE) {
    const deadline = Date.now() + ms;
    for (;;) {
      const found = ready();
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      assert.ok(left > 0, `waited ${ms} ms in vain for ${what}; so far: ${JSON.stringify(this.seen).slice(0, 1000)}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  // The next object; undefined at the end of the stream.  Heartbeats are left out unless asked for.
  async next({ heartbeats = false, ms } = {}) {
    const found = await this.wait(
      'the next object',
      () => {
        while (this.at < this.seen.length) {
          const object = this.seen[this.at];
          this.at += 1;
          if (heartbeats || object.type !== 'heartbeat') return { object };
        }
        return this.over ? { object: undefined } : undefined;
      },
      ms,
    );
    return found.object;
  }

  // The next object, which must be of this type.
  async expect(type, options) {
    const object = await this.next({ heartbeats: type === 'heartbeat', ...options });
    assert.equal(object?.type, type, `${JSON.stringify(object)} is no ${type}`);
    return object;
  }

  // The next count entries.
  async entries(count) {
    const found = [];
    for (let i = 0; i < count; i += 1) found.push((await this.expect('entry')).entry);
    return found;
  }

  // The initial entries' objects, up to ready; ready's own goes into this.ready.
  async initial() {
    const found = [];
    for (;;) {
      const object = await this.next();
      assert.ok(object, 'the stream ended before it was ready');
      if (object.type === 'ready') {
        this.ready = object;
        return found;
      }
      assert.equal(object.type, 'entry');
      found.push(object);
    }
  }

  // The end object, behind which nothing may come.
  async end(options) {
    const object = await this.expect('end', options);
    assert.equal(await this.next(options), undefined, 'something came behind the end');
    return object;
  }

  close() {
    this.request.destroy();
  }
}

// Opens a stream; answers an Answer where the server refused.  body: a POST's object; query: a GET's names and values;
// events: server-sent events.
export function tryStream(s, path, { body, query, events = false, headers = {} } = {}) {
  const { client } = s;
  // Often enough that no server holds on for long to a stream whose client has left.
  const often = { heartbeat: 500 };
  if (query === undefined) body = { ...often, ...body };
  else query = { ...often, ...query };
  const params = query === undefined ? '' : `?${new URLSearchParams(query)}`;
  const text = query === undefined ? JSON.stringify(body) : undefined;
  const all = { Authorization: `Bearer ${client.token}`, ...headers };
  if (events) all.Accept = 'text/event-stream';
  if (text !== undefined) Object.assign(all, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: client.base.hostname,
      port: client.base.port,
      method: text === undefined ? 'GET' : 'POST',
      path: client.mount + path + params,
      headers: all,
      agent: false,
      timeout: 2 * PATIENCE,
    });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error(`nothing from ${path} for ${2 * PATIENCE} ms`)));
    request.on('response', (response) => {
      if (response.statusCode === 200) {
        const stream = new Stream(request, response, events);
        request.on('error', () => stream.finish());
        resolve(stream);
        return;
      }
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve(new Answer(response.statusCode, response.headers, Buffer.concat(parts))));
    });
    request.end(text);
  });
}

// Runs act with an open stream and closes it.
export async function withStream(s, path, options, act) {
  const stream = await tryStream(s, path, options);
  if (!(stream instanceof Stream)) assert.fail(`${path} answered ${stream.status} ${stream.body}`);
  try {
    return await act(stream);
  } finally {
    stream.close();
  }
}

export const watch = (s, body, act, options = {}) => withStream(s, '/kv/watch', { body, ...options }, act);
