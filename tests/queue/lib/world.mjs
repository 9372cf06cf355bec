// All that is known of the queue: each message with what happened to it in this round, and whether it fits what is there at its end.
import assert from 'node:assert/strict';

import { isPossible, unborn } from './life.mjs';
import { passedOver } from './order.mjs';

export const TOPICS = ['a', 'b'];
export const ONCE = 'once'; // a topic of messages with dedupe ids
export const HOUR = 3_600_000;
export const SHORT = 50; // ms of a lease that may run out while the test lasts
export const LONG = 20 * HOUR; // ... and of one that cannot, however the clock is put

export class World {
  constructor() {
    this.messages = new Map(); // payload → message
    this.names = new Map(); // dedupe id → {id, firsts, doubts}
    this.leases = new Set(); // all that were given
    this.deliveries = []; // the last ones handed out: {payload, id, lease}
    this.counts = { operations: 0, doubts: 0, refused: 0, deliveries: 0, stale: 0, dead: 0, lives: 0 };
    this.number = 0; // of the last beginning or end
    this.made = 0; // payloads so far
    this.increments = { sure: 0, doubts: 0 };
    this.begin();
  }

  // A new round.
  begin() {
    this.dequeues = [];
    this.doubts = new Map(TOPICS.map((topic) => [topic, []]));
  }

  tick() {
    return (this.number += 1);
  }

  add(given) {
    const message = { ...given, payload: `m${(this.made += 1)}`, before: unborn, events: [] };
    this.messages.set(message.payload, message);
    return message;
  }

  event(payload, event) {
    const message = this.messages.get(payload);
    if (!message) return; // gone in an earlier round, when what settles it must be refused
    message.events.push({ number: this.tick(), ...event });
  }

  // A message as a dequeue answered it.
  delivered(answered, { topic, begin, end, short }) {
    const message = this.messages.get(answered.payload);
    assert.ok(message, `message ${answered.payload} came though it was gone or never sent`);
    assert.equal(answered.topic, topic);
    assert.equal(message.topic, topic, `${answered.payload}: its topic`);
    assert.equal(answered.id, message.id ?? answered.id, `${answered.payload}: its id`);
    assert.equal(answered.maxAttempts, message.maxAttempts, `${answered.payload}: its maxAttempts`);
    assert.ok(answered.attempts < answered.maxAttempts, `${answered.payload} was handed out more often than it may be`);
    assert.ok(!this.leases.has(answered.lease), `${answered.payload} came with a lease that was given before`);
    this.leases.add(answered.lease);
    message.id = answered.id;
    if (answered.attempts === 0 && message.before.phase === 'none') message.seen = { ...message, deliverAt: answered.deliverAt };
    this.counts.deliveries += 1;
    this.event(answered.payload, { kind: 'deliver', begin, end, ok: true, lease: answered.lease, attempts: answered.attempts, short });
    this.deliveries.push({ payload: answered.payload, id: answered.id, lease: answered.lease });
    if (this.deliveries.length > 60) this.deliveries.shift();
  }

  dequeued(topic, limit, messages, begin, end) {
    const taken = messages.map((m) => ({ id: m.id, deliverAt: m.deliverAt, priority: this.messages.get(m.payload).priority }));
    this.dequeues.push({ topic, limit, begin, end, messages: taken });
  }

  // What an enqueue with a dedupe id answered; null: nothing.
  named(name, answer) {
    const known = this.names.get(name) ?? { id: undefined, firsts: 0, doubts: 0 };
    this.names.set(name, known);
    if (!answer) {
      known.doubts += 1;
      return;
    }
    assert.equal(answer.id, known.id ?? answer.id, `${name}: one message for all who enqueue it`);
    known.id = answer.id;
    known.firsts += answer.duplicate ? 0 : 1;
    assert.ok(known.firsts <= 1, `${name} was new twice`);
  }

  // Compares with a dump; what is there then is where the next round begins.
  settle(text) {
    const dump = readDump(text);
    for (const [payload, there] of dump.messages) {
      assert.ok(this.messages.has(payload), `message ${payload} is there though it was gone or never sent`);
      assert.ok(there.attempts <= there.maxAttempts, `${payload} was handed out more often than it may be`);
      if (there.state === 'dead') assert.equal(there.attempts, there.maxAttempts, `${payload} is dead too early`);
    }
    for (const message of this.messages.values()) this.settleMessage(message, dump.messages.get(message.payload) ?? null);
    assert.deepEqual(passedOver(this.dequeues, [...this.messages.values()], this.doubts), [], 'the order');
    for (const message of [...this.messages.values()]) this.carryOver(message, dump.messages.get(message.payload) ?? null);
    for (const [name, there] of dump.names) assert.equal(there.id, this.names.get(name)?.id ?? there.id, `${name}: the message that is there`);
    for (const [name, known] of this.names) {
      if (known.id !== undefined) assert.ok(known.firsts === 1 || known.doubts > 0, `${name} was a duplicate of nothing`);
      else known.id = dump.names.get(name)?.id;
      if (known.id !== undefined && known.acked === undefined) assert.ok(dump.names.has(name), `${name} is lost`);
    }
    const { sure, doubts } = this.increments;
    assert.ok(dump.counter >= sure && dump.counter <= sure + doubts, `the counter is ${dump.counter}, not ${sure} to ${sure + doubts}`);
    this.increments = { sure: dump.counter, doubts: 0 };
    this.begin();
  }

  settleMessage(message, after) {
    this.counts.lives += 1;
    const { before, events, maxAttempts, topic, payload } = message;
    if (after && after.state === 'ready' && after.attempts === 0 && before.phase === 'none')
      message.seen = { ...message, id: after.id, deliverAt: after.deliverAt };
    message.id ??= after?.id;
    const unseen = this.doubts.get(topic).length;
    if (isPossible({ before, events, max: maxAttempts, unseen, after })) return;
    assert.fail(
      `message ${payload} (at most ${maxAttempts} deliveries, ${unseen} dequeues in doubt) cannot have gone from ` +
        `${JSON.stringify(before)} to ${JSON.stringify(after)} through\n${events.map((event) => JSON.stringify(event)).join('\n')}`,
    );
  }

  carryOver(message, after) {
    if (after === null) {
      this.messages.delete(message.payload);
      return;
    }
    const short = !(after.leaseUntil > after.enqueuedAt + LONG / 2);
    message.before = { phase: after.state, attempts: after.attempts, lease: after.lease ?? null, short: after.state === 'leased' && short };
    message.events = [];
  }
}

function readDump(text) {
  const lines = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.at(-1)?.type, 'end', 'the dump is whole');
  const dump = { messages: new Map(), names: new Map(), counter: 0 };
  for (const line of lines) {
    if (line.type === 'entry' && line.key[0] === 'n') dump.counter = line.value;
    if (line.type !== 'message') continue;
    const [map, key] = line.topic === ONCE ? [dump.names, line.dedupeId] : [dump.messages, line.payload];
    assert.ok(!map.has(key), `${key} is there twice`);
    map.set(key, line);
  }
  return dump;
}
