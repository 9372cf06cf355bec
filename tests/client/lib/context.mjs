// What a case is given: a client, and names that are its own.
import * as check from './check.mjs';

let count = 0;
const run = Math.random().toString(36).slice(2, 8);

export class Context {
  constructor(kvs, { url, token, stream }) {
    this.kvs = kvs;
    this.url = url;
    this.token = token;
    this.stream = stream;
    this.space = `c${run}-${++count}`;
    this.clients = [];
    this.buckets = [];
    this.client = this.connect();
    Object.assign(this, check);
  }

  connect(options = {}) {
    const client = new this.kvs.KvsClient({ url: this.url, token: this.token, stream: this.stream, ...options });
    this.clients.push(client);
    return client;
  }

  key(...parts) {
    return [this.space, ...parts];
  }

  get topic() {
    return this.space;
  }

  async bucket(options, client = this.client) {
    const kv = await client.kv(this.space, options);
    this.buckets.push(kv);
    return kv;
  }

  async end() {
    for (const client of this.clients) client.close();
    for (const kv of this.buckets.slice(0, 1)) await kv.destroy().catch(() => undefined);
  }
}

// Runs one case; the error it failed with, or null.
export async function runCase(kvs, server, body) {
  const context = new Context(kvs, server);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new check.Failed('not done after 60 s')), 60_000);
  });
  try {
    await Promise.race([body(context), late]);
    return null;
  } catch (error) {
    return error;
  } finally {
    clearTimeout(timer);
    await context.end();
  }
}
