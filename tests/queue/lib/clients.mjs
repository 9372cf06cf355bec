// Clients that use the queue at random until the servers are gone, and tell the world what they saw.
import assert from 'node:assert/strict';

import { LONG, ONCE, SHORT, TOPICS } from './world.mjs';

export class Client {
  // call(endpoint, body) resolves to the answer's object, to null where it was refused, to undefined where none came.
  constructor(world, rng, round, call) {
    Object.assign(this, { world, rng, round, call });
  }

  pick(list) {
    return list[this.rng.below(list.length)];
  }

  // One request; ok(answer) where there was one that was taken, doubt() where it is unknown.  begin and end are in this.
  async ask(endpoint, body, { ok, doubt, refused = () => {} }) {
    const begin = this.world.tick();
    const answer = await this.call(endpoint, body);
    const end = this.world.tick();
    if (answer !== null) this.world.counts.operations += 1;
    if (answer === undefined) {
      this.world.counts.doubts += 1;
      doubt({ begin, end: Infinity });
    } else if (answer === null) {
      this.world.counts.refused += 1;
      refused();
    } else {
      ok(answer, { begin, end });
    }
  }

  newMessage() {
    const { rng } = this;
    const delay = rng.below(4) ? 0 : this.pick([30, LONG]);
    return this.world.add({ topic: this.pick(TOPICS), priority: rng.below(3) - 1, maxAttempts: 1 + rng.below(4), delay });
  }

  options(message) {
    const backoff = this.rng.below(3) ? {} : { backoff: [20] };
    return { topic: message.topic, priority: message.priority, maxAttempts: message.maxAttempts, delay: message.delay, ...backoff };
  }

  sent(message, id, time, ok) {
    if (id !== undefined) assert.equal(id, message.id ?? id, `${message.payload}: its id`);
    message.id ??= id;
    this.world.event(message.payload, { kind: 'enqueue', ...time, ok });
  }

  enqueue() {
    const message = this.newMessage();
    return this.ask('/queue/enqueue', { payload: message.payload, ...this.options(message) }, {
      ok: (answer, time) => this.sent(message, answer.id, time, true),
      doubt: (time) => this.sent(message, undefined, time, null),
      refused: () => this.world.messages.delete(message.payload),
    });
  }

  enqueueMany() {
    const messages = Array.from({ length: 1 + this.rng.below(4) }, () => this.newMessage());
    return this.ask('/queue/enqueue-many', { messages: messages.map((m) => ({ payload: m.payload, ...this.options(m) })) }, {
      ok: (answer, time) => messages.forEach((m, i) => this.sent(m, answer.ids[i], time, true)),
      doubt: (time) => messages.forEach((m) => this.sent(m, undefined, time, null)),
      refused: () => messages.forEach((m) => this.world.messages.delete(m.payload)),
    });
  }

  // The same name by many at once, and names of the round before.
  enqueueOnce() {
    const name = `n${this.rng.below(4)}-${this.round - this.rng.below(2)}`;
    return this.ask('/queue/enqueue', { topic: ONCE, payload: name, dedupeId: name }, {
      ok: (answer) => this.world.named(name, answer),
      doubt: () => this.world.named(name, null),
    });
  }

  dequeue() {
    const topic = this.pick(TOPICS);
    const limit = 1 + this.rng.below(4);
    const short = this.rng.below(5) < 2;
    return this.ask('/queue/dequeue', { topic, limit, leaseMs: short ? SHORT : LONG }, {
      ok: (answer, time) => {
        for (const message of answer.messages) this.world.delivered(message, { topic, short, ...time });
        this.world.dequeued(topic, limit, answer.messages, time.begin, time.end);
      },
      doubt: (time) => this.world.doubts.get(topic).push(time.begin),
    });
  }

  // Most often one of the last deliveries, be it still good or not; its lease is left out now and then.
  delivery() {
    const { deliveries } = this.world;
    if (!deliveries.length) return null;
    const at = this.rng.below(3) ? Math.max(0, deliveries.length - 1 - this.rng.below(6)) : this.rng.below(deliveries.length);
    const { payload, id, lease } = deliveries[at];
    return this.rng.below(12) ? { payload, id, lease } : { payload, id, lease: null };
  }

  settled(kind, delivery, time, ok, more = {}) {
    if (ok === false) this.world.counts.stale += 1;
    if (!this.world.messages.has(delivery.payload)) assert.ok(ok !== true, `${kind} of ${delivery.payload}, which is gone, was taken`);
    this.world.event(delivery.payload, { kind, ...time, ok, lease: delivery.lease, ...more });
  }

  settle(kind, more = {}, note = {}) {
    const delivery = this.delivery();
    if (!delivery) return this.enqueue();
    const body = { id: delivery.id, ...(delivery.lease ? { lease: delivery.lease } : {}), ...more };
    return this.ask(`/queue/${kind}`, body, {
      ok: (answer, time) => this.settled(kind, delivery, time, answer.ok, note),
      doubt: (time) => this.settled(kind, delivery, time, null, note),
    });
  }

  ackMany() {
    const some = [this.delivery(), this.delivery()].filter((d, i, all) => d && (i === 0 || d.payload !== all[0].payload));
    if (!some.length) return this.enqueue();
    const acks = some.map(({ id, lease }) => ({ id, ...(lease ? { lease } : {}) }));
    return this.ask('/queue/ack-many', { acks }, {
      ok: (answer, time) => some.forEach((d, i) => this.settled('ack', d, time, answer.ok[i])),
      doubt: (time) => some.forEach((d) => this.settled('ack', d, time, null)),
    });
  }

  // A message is used up, another one made of it and a counter raised, together or not at all.
  atomic() {
    const delivery = this.delivery();
    if (!delivery?.lease) return this.enqueue();
    const message = this.newMessage();
    const body = {
      acks: [{ id: delivery.id, lease: delivery.lease }],
      enqueues: [{ payload: message.payload, options: this.options(message) }],
      mutations: [{ type: 'increment', key: ['n'] }],
    };
    return this.ask('/kv/atomic', body, {
      ok: (answer, time) => {
        const done = answer.ok === true;
        this.settled('ack', delivery, time, done);
        if (!done) return this.world.messages.delete(message.payload);
        this.world.increments.sure += 1;
        return this.sent(message, answer.ids[0], time, true);
      },
      doubt: (time) => {
        this.world.increments.doubts += 1;
        this.settled('ack', delivery, time, null);
        this.sent(message, undefined, time, null);
      },
      refused: () => this.world.messages.delete(message.payload),
    });
  }

  // Looking changes nothing but what time has changed already.
  look() {
    const topic = this.pick(TOPICS);
    if (this.rng.below(2)) return this.ask('/queue/stats', { topic }, { ok: () => {}, doubt: () => {} });
    return this.ask('/queue/dead', { topic }, {
      ok: (answer) => {
        for (const m of answer.messages) assert.equal(m.attempts, m.maxAttempts, `${m.payload} is dead too early`);
      },
      doubt: () => {},
    });
  }

  step() {
    const n = this.rng.below(100);
    if (n < 22) return this.enqueue();
    if (n < 27) return this.enqueueMany();
    if (n < 33) return this.enqueueOnce();
    if (n < 58) return this.dequeue();
    if (n < 72) return this.settle('ack');
    if (n < 76) return this.ackMany();
    if (n < 86) return this.settle('nack', this.rng.below(2) ? {} : { delay: this.pick([0, 0, 30]) });
    if (n < 90) {
      const short = this.rng.below(2) === 0;
      return this.settle('extend', { leaseMs: short ? SHORT : LONG }, { short });
    }
    return n < 96 ? this.atomic() : this.look();
  }
}
