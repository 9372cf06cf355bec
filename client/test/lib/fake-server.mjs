// A server for the client's own tests, with faults on order: `server.fault = (path, body, res) => …` may answer itself
// (returning true), cut the connection, or wait. Streams are cut with `server.cut()`.
import { createServer } from "node:http";
import { FakeBucket } from "./fake-store.mjs";

class Refusal extends Error {
  constructor(status, code, more = {}) {
    super(code);
    Object.assign(this, { status, code, more });
  }
}

const conflict = (entry) => new Refusal(409, "conflict", { revision: entry?.revision ?? null, version: entry?.version ?? null });

export class FakeServer {
  constructor() {
    this.buckets = new Map([["default", new FakeBucket("default")]]);
    this.requests = [];
    this.streams = new Set();
    this.fault = null;
    this.queue = [];
    this.nextId = 1;
    this.locks = new Map();
    this.http = createServer((req, res) => void this.receive(req, res));
  }

  async start() {
    await new Promise((resolve) => this.http.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.http.address().port}`;
    return this;
  }

  async stop() {
    this.cut();
    this.http.closeAllConnections();
    await new Promise((resolve) => this.http.close(resolve));
  }

  /** Cuts every stream, without a word. */
  cut() {
    for (const res of this.streams) res.destroy();
  }

  count(path) {
    return this.requests.filter((request) => request.path === path).length;
  }

  bucket(name = "default") {
    const bucket = this.buckets.get(name);
    if (!bucket) throw new Refusal(404, "no_bucket");
    return bucket;
  }

  async receive(req, res) {
    let text = "";
    for await (const chunk of req) text += chunk;
    const body = text === "" ? {} : JSON.parse(text);
    this.requests.push({ path: req.url, body, headers: req.headers, text });
    try {
      if (await this.fault?.(req.url, body, res)) return;
      if (req.url === "/kv/watch") return await this.watch(body, res);
      if (req.url === "/queue/listen") return await this.listen(body, res);
      const operation = this[req.url];
      if (!operation) throw new Refusal(404, "not_found");
      const gone = new AbortController();
      res.on("close", () => gone.abort());
      const answer = await operation.call(this, body, gone.signal);
      res.setHeader("Content-Type", "application/json");
      res.end(JSON.stringify(answer));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      res.statusCode = error.status;
      res.end(JSON.stringify({ error: { code: error.code, message: error.code, ...error.more } }));
    }
  }

  async watch({ bucket: name, include = "latest", since, ignoreDeletes, heartbeat = 15000, ...selector }, res) {
    const bucket = this.bucket(name);
    if (since < bucket.compacted) throw new Refusal(410, "compacted", { revision: bucket.compacted });
    this.streams.add(res);
    const gone = new AbortController();
    res.on("close", () => {
      this.streams.delete(res);
      gone.abort();
    });
    const shown = (entry) => !ignoreDeletes || !entry.operation;
    const send = (object) => res.writableEnded || res.write(`${JSON.stringify(object)}\n`);
    let at = bucket.revision;
    const first = (since === undefined ? bucket.initial(include, selector) : bucket.changes(since, selector)).filter(shown);
    first.forEach((entry, index) => send({ type: "entry", entry, pending: first.length - 1 - index }));
    send({ type: "ready", revision: at });
    while (!gone.signal.aborted) {
      if (this.buckets.get(bucket.name) !== bucket) return res.end('{"type":"end","reason":"destroyed","revision":0}\n');
      const fresh = bucket.changes(at, selector).filter(shown);
      at = bucket.revision;
      for (const entry of fresh) send({ type: "entry", entry });
      if (bucket.revision === at) await bucket.wait(heartbeat, gone.signal);
      if (bucket.revision === at) send({ type: "heartbeat", revision: at });
    }
  }

  async listen({ topic, limit }, res) {
    this.streams.add(res);
    const gone = new AbortController();
    res.on("close", () => gone.abort());
    res.write('{"type":"heartbeat"}\n');
    while (!gone.signal.aborted) {
      const { messages } = await this["/queue/dequeue"]({ topic, limit, waitMs: 50 }, gone.signal);
      for (const message of messages) res.write(`${JSON.stringify({ type: "message", message })}\n`);
    }
  }

  "/health"() {
    return { ok: true, uptime: 1.5, version: "0", mode: "fastcgi" };
  }

  "/kv/get"({ bucket, key, revision, markers }) {
    const store = this.bucket(bucket);
    if (revision) return { entry: store.changes(revision - 1, { key }).find((entry) => entry.revision === revision) ?? null };
    return { entry: markers ? store.current(key) : store.live(key) };
  }

  "/kv/get-many"({ bucket, keys }) {
    return { entries: keys.map((key) => this.bucket(bucket).live(key)) };
  }

  put(bucket, { key, value, valueBase64 }) {
    const stored = valueBase64 === undefined ? { key, value } : { key, valueBase64 };
    const revision = bucket.commit([stored]);
    return { ok: true, version: bucket.live(key).version, revision };
  }

  "/kv/set"(body) {
    return this.put(this.bucket(body.bucket), body);
  }

  "/kv/create"(body) {
    const bucket = this.bucket(body.bucket);
    const entry = bucket.live(body.key);
    if (entry) throw conflict(entry);
    return this.put(bucket, body);
  }

  "/kv/update"(body) {
    const bucket = this.bucket(body.bucket);
    const entry = bucket.live(body.key);
    if (!entry || (body.revision ?? entry.revision) !== entry.revision) throw conflict(entry);
    return this.put(bucket, body);
  }

  remove({ bucket: name, key, revision }, operation) {
    const bucket = this.bucket(name);
    const entry = bucket.live(key);
    if (revision !== undefined && entry?.revision !== revision) throw conflict(entry);
    if (!entry && operation === "DEL") return { ok: true, deleted: false, revision: bucket.revision };
    return { ok: true, deleted: true, purged: 1, revision: bucket.commit([{ key, operation }]) };
  }

  "/kv/delete"(body) {
    return this.remove(body, "DEL");
  }

  "/kv/purge"(body) {
    return this.remove(body, "PURGE");
  }

  "/kv/atomic"({ bucket: name, checks = [], mutations = [] }) {
    const bucket = this.bucket(name);
    const failed = checks.flatMap(({ key, version, revision }, at) => {
      const entry = bucket.live(key);
      const good = version !== undefined ? (entry?.version ?? null) === version : (entry?.revision ?? null) === revision;
      return good ? [] : [at];
    });
    if (failed.length > 0) return { ok: false, failed };
    const revision = bucket.commit(mutations.map(({ type, key, value }) =>
      type === "set" ? { key, value } : { key, operation: "DEL" }));
    return { ok: true, version: 1, revision, results: [], ids: [] };
  }

  "/kv/keys"({ bucket, filter }) {
    const store = this.bucket(bucket);
    const keys = store.entries.filter(store.select({ filter })).filter((entry) => store.live(entry.key) === entry);
    return { keys: keys.map((entry) => entry.key), cursor: null };
  }

  "/kv/history"({ bucket, limit = 100, cursor, ...selector }) {
    const store = this.bucket(bucket);
    const entries = store.changes(Number(cursor ?? 0), selector);
    const page = entries.slice(0, limit);
    return { entries: page, cursor: entries.length > page.length ? String(page.at(-1).revision) : null };
  }

  async "/kv/changes"({ bucket, since, waitMs = 0, limit, ...selector }, signal) {
    const store = this.bucket(bucket);
    if (since < store.compacted) throw new Refusal(410, "compacted", { revision: store.compacted });
    if (store.changes(since, selector).length === 0) await store.wait(waitMs, signal);
    return { entries: store.changes(since, selector), revision: store.revision, pending: 0 };
  }

  "/bucket/status"({ name }) {
    return { bucket: this.bucket(name).status() };
  }

  "/bucket/create"({ name, options }) {
    this.buckets.set(name, new FakeBucket(name, options));
    return { ok: true, created: true, bucket: this.bucket(name).status() };
  }

  "/bucket/destroy"({ name }) {
    const bucket = this.bucket(name);
    this.buckets.delete(name);
    for (const wake of bucket.waiters) wake();
    return { ok: true };
  }

  "/queue/enqueue"({ payload, topic = "default" }) {
    const message = { id: this.nextId++, topic, payload, enqueuedAt: 1, deliverAt: 1, attempts: 0, maxAttempts: 3 };
    this.queue.push(message);
    return { ok: true, id: message.id };
  }

  async "/queue/dequeue"({ topic = "default", limit = 1, waitMs = 0 }, signal) {
    for (const end = Date.now() + waitMs; ; ) {
      const ready = this.queue.filter((message) => message.topic === topic && !message.lease).slice(0, limit);
      for (const message of ready) message.lease = `lease-${message.id}-${message.attempts++}`;
      if (ready.length > 0 || Date.now() >= end || signal.aborted) return { messages: ready.map((m) => ({ ...m })) };
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  "/queue/ack"({ id, lease }) {
    const at = this.queue.findIndex((message) => message.id === id && message.lease && message.lease === (lease ?? message.lease));
    if (at >= 0) this.queue.splice(at, 1);
    return { ok: at >= 0 };
  }

  "/queue/nack"({ id, lease }) {
    const message = this.queue.find((one) => one.id === id && one.lease === lease);
    if (message) delete message.lease;
    return { ok: message !== undefined };
  }

  "/kv/increment"({ bucket: name, key, delta = 1 }) {
    const bucket = this.bucket(name);
    const value = (bucket.live(key)?.value ?? 0) + delta;
    return { value, ...this.put(bucket, { key, value }) };
  }

  "/queue/extend"({ id, lease, leaseMs }) {
    const message = this.queue.find((one) => one.id === id && one.lease === lease);
    return { ok: message !== undefined, leaseUntil: Date.now() + leaseMs };
  }

  async "/lock/acquire"({ name, ttl, owner = null, waitMs = 0 }, signal) {
    for (const end = Date.now() + waitMs; ; await new Promise((resolve) => setTimeout(resolve, 5))) {
      const lock = this.locks.get(name) ?? { fence: 0, expiresAt: 0 };
      if (lock.expiresAt > Date.now()) {
        if (Date.now() < end && !signal.aborted) continue;
        return { ok: false, owner: lock.owner, expiresAt: lock.expiresAt };
      }
      const fence = lock.fence + 1;
      this.locks.set(name, { fence, owner, token: `token-${fence}`, expiresAt: Date.now() + ttl });
      return { ok: true, token: `token-${fence}`, fence, expiresAt: Date.now() + ttl };
    }
  }

  "/lock/renew"({ name, token, ttl }) {
    const lock = this.locks.get(name);
    const ok = lock?.token === token && lock.expiresAt > Date.now();
    if (ok) lock.expiresAt = Date.now() + ttl;
    return { ok };
  }

  "/lock/release"({ name, token }) {
    const lock = this.locks.get(name);
    const ok = lock?.token === token && lock.expiresAt > Date.now();
    if (ok) lock.expiresAt = 0;
    return { ok };
  }
}

export const startFake = () => new FakeServer().start();
