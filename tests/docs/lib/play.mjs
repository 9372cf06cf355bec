// Plays the exchanges of a block against a server and compares.
import assert from 'node:assert/strict';
import http from 'node:http';

const TIMEOUT = 20_000;
const MEANWHILE_MS = 100; // until a request that is to wait surely waits

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The value of <name> in a request.
function fill(text, names) {
  return text.replace(/<([a-z]+)>/g, (whole, name) => {
    assert.ok(names.has(name), `${whole} is not known yet`);
    return names.get(name);
  });
}

// Compares text with what is expected: … is any text, <name> the value of that name, or any, which it then has.
export function match(expected, text, names, where) {
  const found = [];
  const seen = new Map();
  const pattern = expected.replace(/…|<[a-z]+>|[\\^$.*+?()[\]{}|]/g, (token) => {
    if (token === '…') return '[^]*?';
    if (!/^<[a-z]+>$/.test(token)) return `\\${token}`;
    const name = token.slice(1, -1);
    if (seen.has(name)) return `\\${seen.get(name)}`;
    // The place of a value that is known is compared below, so that the message shows both.
    found.push(name);
    seen.set(name, found.length);
    return '([^",\\]}]*)';
  });
  const values = new RegExp(`^${pattern}$`).exec(text);
  assert.ok(values, `${where}\n  expected: ${expected}\n  got:      ${text}`);
  found.forEach((name, i) => {
    const value = values[i + 1];
    if (names.has(name)) assert.equal(value, names.get(name), `${where}: <${name}>`);
    names.set(name, value);
  });
}

// An open request: its status and headers, its text line by line, or all of it.
class Exchange {
  constructor(base, token, { method, path, headers, body }) {
    const all = { Authorization: `Bearer ${token}` };
    if (body !== null) all['Content-Type'] = 'application/json';
    if (method === 'POST') all['Content-Length'] = Buffer.byteLength(body ?? '');
    for (const [name, value] of headers) {
      if (value === '') delete all[name];
      else all[name] = value;
    }
    this.text = '';
    this.ended = false;
    this.error = null;
    this.wake = () => {};
    this.request = http.request(new URL(`${base}${path}`), { method, headers: all, agent: false }, (response) => {
      this.response = response;
      response.setEncoding('utf8');
      response.on('data', (part) => this.news(() => (this.text += part)));
      response.on('end', () => this.news(() => (this.ended = true)));
      response.on('error', (error) => this.news(() => (this.error = error)));
      this.wake();
    });
    this.request.on('error', (error) => this.news(() => (this.error = error)));
    this.request.end(body ?? undefined);
  }

  news(change) {
    change();
    this.wake();
  }

  // Waits until probe answers something other than undefined.
  async until(what, probe) {
    const deadline = Date.now() + TIMEOUT;
    for (;;) {
      const found = probe();
      if (found !== undefined) return found;
      if (this.error) throw this.error;
      const left = deadline - Date.now();
      assert.ok(left > 0, `waited ${TIMEOUT} ms for ${what}; got so far: ${this.text}`);
      let timer;
      await new Promise((resolve) => {
        this.wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  head() {
    return this.until('the status', () => this.response);
  }

  whole() {
    return this.until('the answer', () => (this.ended ? this.text : undefined));
  }

  line() {
    return this.until('a line', () => {
      const end = this.text.indexOf('\n');
      if (end < 0) {
        assert.ok(!this.ended, 'the stream ended');
        return undefined;
      }
      const line = this.text.slice(0, end);
      this.text = this.text.slice(end + 1);
      return line;
    });
  }

  close() {
    this.request.destroy();
  }
}

export class Player {
  constructor(deployment) {
    this.base = `http://127.0.0.1:${deployment.port}${deployment.mount}`;
    this.client = deployment.client;
    this.token = deployment.token;
    this.names = new Map();
  }

  async meanwhile({ path, body }) {
    const answer = await this.client.request({ path, body: fill(body, this.names) });
    assert.equal(answer.status, 200, `${path} ${body}: ${answer.body}`);
  }

  async stream(exchange, steps, where) {
    for (const step of steps) {
      if (step.expect === undefined) await this.meanwhile(step);
      else match(step.expect, await exchange.line(), this.names, where);
    }
  }

  async play(it) {
    if (it.pause !== undefined) {
      await sleep(it.pause);
      return;
    }
    const where = `line ${it.line}: ${it.method} ${it.path}`;
    const body = it.body === null ? null : fill(it.body, this.names);
    const exchange = new Exchange(this.base, this.token, { ...it, body });
    try {
      if (it.before.length > 0) {
        await sleep(MEANWHILE_MS);
        assert.ok(!exchange.response, `${where} did not wait`);
      }
      for (const other of it.before) await this.meanwhile(other);
      const { statusCode, headers } = await exchange.head();
      if (statusCode !== it.status) assert.fail(`${where}: ${statusCode}, not ${it.status}: ${await exchange.whole()}`);
      for (const [name, value] of it.answerHeaders) {
        match(value, headers[name.toLowerCase()] ?? '', this.names, `${where}: ${name}`);
      }
      if (it.steps.length > 0) await this.stream(exchange, it.steps, where);
      else match(it.answer, await exchange.whole(), this.names, where);
    } finally {
      exchange.close();
    }
  }
}
