// A test's view of a deployment: requests, checks on their answers, and names of its own, so that all tests share one
// database without meeting.
import assert from 'node:assert/strict';

import { readJson } from './json.mjs';

const POLL_MS = 120_000;
let sessions = 0;

export class Session {
  constructor(deployment) {
    this.deployment = deployment;
    this.client = deployment.client;
    sessions += 1;
    this.space = `s${sessions}`;
    this.topics = 0;
  }

  // Whether the deployment's web server cannot do this; DEPLOYMENTS says so.
  lacks(what) {
    return this.deployment.kind.lacks?.includes(what) ?? false;
  }

  // A key that only this case uses.
  key(...parts) {
    return [this.space, ...parts];
  }

  topic() {
    this.topics += 1;
    return `${this.space}.t${this.topics}`;
  }

  // The same topic every time, for cases that need no more than one.
  oneTopic() {
    if (this.topics === 0) this.topic();
    return `${this.space}.t1`;
  }

  // POSTs body (text and bytes as they are, anything else as JSON; undefined: none).
  async post(path, body, options = {}) {
    let bytes = null;
    if (typeof body === 'string' || Buffer.isBuffer(body)) bytes = body;
    else if (body !== undefined) bytes = JSON.stringify(body);
    return this.checked(path, await this.client.request({ path, body: bytes, ...options }));
  }

  // What holds for every answer with a body: strict JSON, an object, no name twice, and a type that says so.
  checked(path, answer) {
    const where = `${path} answered ${answer.status} ${answer.body.subarray(0, 300)}`;
    assert.match(answer.headers['content-type'] ?? '', /^application\/json\b/, where);
    let root;
    try {
      root = readJson(answer.text);
    } catch (error) {
      assert.fail(`${where}: ${error.message}`);
    }
    assert.ok(root.members, where);
    return answer;
  }

  // A request that must succeed; answers the Answer.
  async sent(path, body, options) {
    const answer = await this.post(path, body, options);
    assert.equal(answer.status, 200, `${path} answered ${answer.status} ${answer.body.subarray(0, 300)}`);
    return answer;
  }

  // A request that must succeed; answers the object.
  async ok(path, body, options) {
    return JSON.parse((await this.sent(path, body, options)).text);
  }

  // A request that must fail with this status and code (several: a list) and, where given, this field (text or RegExp).
  // Answers the error object.
  async fails(path, body, status, code, field, options) {
    const answer = await this.post(path, body, options);
    const shown = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return this.isError(answer, status, code, field, `${path} ${String(shown).slice(0, 200)}`);
  }

  isError(answer, status, code, field, what) {
    const where = `${what} answered ${answer.status} ${answer.body.subarray(0, 300)}`;
    assert.equal(answer.status, status, where);
    const body = JSON.parse(answer.text);
    assert.deepEqual(Object.keys(body), ['error'], where);
    const { error } = body;
    const codes = Array.isArray(code) ? code : [code];
    assert.ok(codes.includes(error.code), `${where}: not ${codes.join(' or ')}`);
    assert.ok(typeof error.message === 'string' && error.message.length > 0, where);
    if (field instanceof RegExp) assert.match(String(error.field), field, where);
    else if (field !== undefined) assert.equal(error.field, field, where);
    const known = ['code', 'message', 'field', 'revision', 'version'];
    for (const name of Object.keys(error)) assert.ok(known.includes(name), `${where}: ${name}`);
    return error;
  }

  async set(key, value, more = {}) {
    return this.ok('/kv/set', { key, value, ...more });
  }

  // Sets key to a value that expires soon, yet is still there at the first look, however slow the machine; answers its
  // entry.
  async setBriefly(key, value) {
    for (let ttl = 250; ; ttl *= 2) {
      const before = Date.now();
      await this.set(key, value, { ttl });
      const entry = await this.get(key);
      if (entry !== null) return entry;
      assert.ok(Date.now() >= before + ttl, `gone before its ${ttl} ms`);
    }
  }

  // The entry of key, or null.
  async get(key, more = {}) {
    const { entry } = await this.ok('/kv/get', { key, ...more });
    return entry;
  }

  // Sets key to JSON text as it is.
  async setRaw(key, text) {
    return this.ok('/kv/set', `{"key":${JSON.stringify(key)},"value":${text}}`);
  }

  // The JSON text of key's value as it comes back.
  async getRaw(key) {
    return (await this.sent('/kv/get', { key })).raw('entry', 'value');
  }

  // All keys below prefix, through pages of the given size.
  async keysBelow(prefix, more = {}) {
    const keys = [];
    let cursor = null;
    do {
      const page = await this.ok('/kv/list', { prefix, cursor, ...more });
      keys.push(...page.entries.map((entry) => entry.key));
      cursor = page.cursor;
    } while (cursor !== null);
    return keys;
  }

  async enqueue(topic, payload, more = {}) {
    return (await this.ok('/queue/enqueue', { topic, payload, ...more })).id;
  }

  async dequeue(topic, more = {}) {
    return (await this.ok('/queue/dequeue', { topic, ...more })).messages;
  }

  // The first message of topic, waited for.
  async take(topic, more = {}) {
    return this.until(`a message on ${topic}`, async () => (await this.dequeue(topic, more))[0]);
  }

  async stats(topic) {
    const { topics } = await this.ok('/queue/stats', { topic });
    return topics[topic] ?? { ready: 0, delayed: 0, leased: 0, dead: 0, oldestReadyMs: null };
  }

  // The revision that the bucket is at now, found by taking the next one.
  async revision() {
    return (await this.set(this.key('revision-probe'), 0)).revision;
  }

  // Polls until probe answers something truthy.
  async until(what, probe) {
    const deadline = Date.now() + POLL_MS;
    for (;;) {
      const found = await probe();
      if (found) return found;
      assert.ok(Date.now() < deadline, `waited ${POLL_MS} ms in vain for ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  // Runs act and proves that neither this case's keys nor its topics nor the bucket's revision moved.
  async unchanged(act) {
    const topicCount = this.topics;
    const look = async () => {
      const entries = (await this.sent('/kv/list', { prefix: [this.space], limit: 1000 })).raw('entries');
      const topics = [];
      for (let i = 1; i <= topicCount; i += 1) {
        const { ready, delayed, leased, dead } = await this.stats(`${this.space}.t${i}`);
        topics.push({ ready, delayed, leased, dead });
      }
      return { entries, topics };
    };
    const revision = await this.revision();
    const seen = await look();
    await act();
    assert.deepEqual(await look(), seen, 'a refused request changed something');
    assert.equal(await this.revision(), revision + 1, 'a refused request took a revision');
  }
}
