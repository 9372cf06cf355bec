// Clients of all kinds that go on until the server has stopped, and remember what became of each request.
//
// A request is refused (nobody listened: it was never sent), answered, or lost: the connection stood, and no whole answer came.
// ask(endpoint, body) resolves to {status, json, text}, to 'refused', or to {lost: why}.
import assert from 'node:assert/strict';

import { sleep } from '../../maint/lib/store.mjs';

export const BIG = 'big'; // a bucket of large values
export const LARGE = 300_000;

// What fills the bucket that large answers come from.
export async function prepare(ok) {
  await ok('/bucket/create', { name: BIG });
  for (let i = 0; i < 3; i += 1) await ok('/kv/set', { bucket: BIG, key: [i], value: `${i}`.repeat(LARGE) });
}

export class Load {
  constructor(round, ask, rng) {
    Object.assign(this, { round, ask, rng });
    this.sets = new Map(); // key's number → whether it was acknowledged
    this.sent = new Map(); // payload → the same, of messages that nobody consumes
    this.acks = []; // {id, lease, done}
    this.lost = [];
    this.isOver = false;
    this.isStarved = false; // set where the clients were too slow to take their answers: what was lost then says nothing
    this.counts = { answered: 0, stopping: 0, refused: 0, polls: 0, streams: 0 };
    this.numbers = 0;
    this.enough = 10 + rng.below(80);
    this.underWay = new Promise((resolve) => {
      this.begun = () => setTimeout(resolve, rng.below(30));
    });
  }

  // One request; the answer where it is 200, null at the end of this client's life.
  async request(endpoint, body) {
    if (this.isOver) return null;
    const answer = await this.ask(endpoint, body);
    if (answer === 'refused') {
      this.counts.refused += 1;
      return null;
    }
    if (answer.lost) {
      this.lost.push(`${endpoint}: ${answer.lost}`);
      return null;
    }
    if (answer.status === 503) {
      assert.equal(answer.json.error.code, 'stopping', answer.text);
      this.counts.stopping += 1;
      return null;
    }
    assert.equal(answer.status, 200, `${endpoint}: ${answer.status} ${answer.text}`);
    this.counts.answered += 1;
    if (this.counts.answered === this.enough) this.begun();
    return answer;
  }

  // Large ones take turns with the others rather than all of the time.
  async writer(size) {
    for (;;) {
      if (size > 100_000) await sleep(this.rng.below(100));
      const n = (this.numbers += 1);
      this.sets.set(n, false);
      if (!(await this.request('/kv/set', { key: [this.round, n], value: 'v'.repeat(size) }))) return;
      this.sets.set(n, true);
    }
  }

  async sender() {
    for (;;) {
      const payload = (this.numbers += 1);
      this.sent.set(payload, false);
      if (!(await this.request('/queue/enqueue', { topic: `sent${this.round}`, payload }))) return;
      this.sent.set(payload, true);
    }
  }

  async consumer() {
    const topic = `used${this.round}`;
    for (;;) {
      if (!(await this.request('/queue/enqueue', { topic, payload: 0 }))) return;
      const answer = await this.request('/queue/dequeue', { topic, leaseMs: 3_600_000 });
      if (!answer) return;
      for (const { id, lease } of answer.json.messages) {
        const ack = { id, lease, done: false };
        this.acks.push(ack);
        const acked = await this.request('/queue/ack', { id, lease });
        if (!acked) return;
        assert.deepEqual(acked.json, { ok: true });
        ack.done = true;
      }
    }
  }

  async reader() {
    for (;;) {
      await sleep(this.rng.below(200));
      const answer = await this.request('/kv/list', { bucket: BIG, prefix: [] });
      if (!answer) return;
      assert.deepEqual(answer.json.entries.map((entry) => entry.value.length), [LARGE, LARGE, LARGE]);
    }
  }

  // Ends when the server does: with an empty answer.
  async poller() {
    const answer = await this.request('/queue/dequeue', { topic: 'silent', waitMs: 25_000 });
    if (!answer) return;
    assert.deepEqual(answer.json, { messages: [] });
    this.counts.polls += 1;
  }

  // A stream's lines are whole, and the last one says that the server stops.
  async stream(endpoint, body) {
    const answer = await this.request(endpoint, body);
    if (!answer) return;
    assert.ok(answer.text.endsWith('\n'), `${endpoint}: cut at ${answer.text.slice(-80)}`);
    const objects = answer.text.trim().split('\n').map((line) => JSON.parse(line));
    const end = objects.at(-1);
    assert.deepEqual([end.type, end.reason], ['end', 'stopping'], endpoint);
    assert.ok(objects.slice(0, -1).every((object) => object.type !== 'end'), endpoint);
    this.counts.streams += 1;
  }

  // Everybody at once, until all have come to their end.  underWay resolves at a random moment, once some have their answers.
  async run() {
    const all = [];
    for (let i = 0; i < 6; i += 1) all.push(this.writer(10 + this.rng.below(3000)));
    all.push(this.writer(LARGE), this.sender(), this.sender(), this.consumer(), this.consumer(), this.reader());
    for (let i = 0; i < 3; i += 1) all.push(this.poller());
    all.push(this.stream('/kv/watch', {}), this.stream('/kv/watch', { bucket: BIG, include: 'history' }));
    all.push(this.stream('/kv/watch', { prefix: [this.round], include: 'updates' }), this.stream('/queue/listen', { topic: 'silent' }));
    await Promise.all(all);
  }

  // The server is gone.  Where the next one was there at once nobody was refused, and all would go on with that one.
  over() {
    this.isOver = true;
  }

  // Compares with the store when it is served again; ok(endpoint, body) answers the object.
  async verify(ok) {
    if (!this.isStarved) assert.deepEqual(this.lost, [], 'requests were lost');
    const { keys } = await ok('/kv/keys', { prefix: [this.round], limit: 1000 });
    const there = new Set(keys.map((key) => key[1]));
    assert.ok(keys.length < 1000, 'one page has all of the round');
    for (const [n, acknowledged] of this.sets) this.isThere(`set ${n}`, acknowledged, there.has(n));
    const { messages } = await ok('/queue/dequeue', { topic: `sent${this.round}`, limit: 1000 });
    const payloads = new Set(messages.map((message) => message.payload));
    assert.equal(payloads.size, messages.length, 'a message is there twice');
    assert.ok(messages.length < 1000, 'one page has all of the round');
    for (const [payload, acknowledged] of this.sent) this.isThere(`message ${payload}`, acknowledged, payloads.has(payload));
    for (const { id, lease, done } of this.acks) {
      const { ok: still } = await ok('/queue/ack', { id, lease });
      this.isThere(`message ${id}, acknowledged by its consumer,`, !done, still);
    }
    await ok('/kv/purge', { prefix: [this.round] });
    for (const topic of [`sent${this.round}`, `used${this.round}`]) await ok('/queue/purge', { topic });
  }

  // Nothing is in doubt: what was not answered with 200 was refused.
  isThere(what, wanted, found) {
    if (this.isStarved && this.lost.length) return;
    assert.equal(found, wanted, `${what} is ${found ? 'there though it was refused' : 'lost'}`);
  }
}
