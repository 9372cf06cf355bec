// What must be in the store: every acknowledged operation, and of each that got no answer all or nothing.
import assert from 'node:assert/strict';

export const HISTORY = 4;

export class Model {
  constructor() {
    this.registers = new Map(); // "bucket key" → {values: committed ones, revision of the last, doubt: value or undefined}
    this.count = { sure: 0, doubt: 0 }; // increments of one counter that all share
    this.messages = new Map(); // payload → 'there' | 'maybe there' | 'maybe gone'
    this.settled = new Set(); // payloads that were acknowledged
    this.revisions = new Map(); // bucket → {floor, seen: Set}
    this.acknowledged = 0;
    this.inDoubt = 0;
    this.doubtsDone = 0; // of which the store had done
  }

  register(bucket, key) {
    const name = `${bucket} ${JSON.stringify(key)}`;
    let r = this.registers.get(name);
    if (!r) this.registers.set(name, (r = { bucket, key, values: [], revision: 0 }));
    return r;
  }

  // An acknowledged write's revision: its own, and above all that were there when the round began.
  took(bucket, revision) {
    const r = this.revisions.get(bucket) ?? { floor: 0, seen: new Set() };
    this.revisions.set(bucket, r);
    assert.ok(revision > r.floor, `${bucket}: revision ${revision} is not above ${r.floor}`);
    assert.ok(!r.seen.has(revision), `${bucket}: revision ${revision} was given twice`);
    r.seen.add(revision);
    this.acknowledged++;
  }

  // Compares with a dump and settles what was in doubt.
  settle(lines) {
    const dump = readDump(lines);
    for (const [bucket, r] of this.revisions) {
      const now = dump.buckets.get(bucket).revision;
      const highest = Math.max(r.floor, ...r.seen);
      assert.ok(now >= highest, `${bucket}: the revision went back from ${highest} to ${now}`);
      this.revisions.set(bucket, { floor: now, seen: new Set() });
    }
    for (const r of this.registers.values()) this.settleRegister(r, dump);
    this.settleCount(dump);
    this.settleMessages(dump);
  }

  settleRegister(r, dump) {
    const held = dump.entries.get(`${r.bucket} ${JSON.stringify(r.key)}`) ?? [];
    const name = `${r.bucket} ${JSON.stringify(r.key)}`;
    const newest = held.at(-1)?.value;
    if (r.doubt !== undefined && newest === r.doubt) {
      r.values.push(r.doubt);
      r.revision = held.at(-1).revision;
      this.doubtsDone++;
    }
    delete r.doubt;
    const keep = r.bucket === 'kept' ? HISTORY : 1;
    assert.deepEqual(held.map((e) => e.value), r.values.slice(-keep), `${name}: the values held`);
    if (!held.length) return;
    assert.equal(held.at(-1).revision, r.revision, `${name}: the revision`);
    assert.equal(held.at(-1).version, r.values.length, `${name}: the version counts every set`);
    for (let i = 1; i < held.length; i++) assert.ok(held[i].revision > held[i - 1].revision, `${name}: revisions ascend`);
  }

  settleCount(dump) {
    const value = dump.entries.get('default ["count"]')?.at(-1).value ?? 0;
    const { sure, doubt } = this.count;
    assert.ok(value >= sure && value <= sure + doubt, `the counter is ${value}: acknowledged ${sure}, in doubt ${doubt}`);
    this.doubtsDone += value - sure;
    this.count = { sure: value, doubt: 0 };
    // Each atomic operation raises its pair and the sum by one.
    let pairs = 0;
    for (const r of this.registers.values()) {
      if (r.key[0] !== 'pair' || r.key[2] !== 'a') continue;
      const other = this.register('default', ['pair', r.key[1], 'b']);
      assert.equal(r.values.length, other.values.length, `both keys of the pair of ${r.key[1]}`);
      assert.equal(r.revision, other.revision, `one revision for the pair of ${r.key[1]}`);
      pairs += r.values.length;
      for (const n of r.values) this.fromPair(`p-${r.key[1]}-${n}`);
    }
    assert.equal(dump.entries.get('default ["sum"]')?.at(-1).value ?? 0, pairs, 'the sum over the atomic operations');
  }

  // A message enqueued by an atomic operation that is known to be done by now.
  fromPair(payload) {
    if (this.messages.get(payload) === 'maybe there') this.messages.set(payload, 'there');
  }

  settleMessages(dump) {
    for (const [payload, n] of dump.messages) {
      assert.equal(n, 1, `message ${payload} is there ${n} times`);
      assert.ok(this.messages.has(payload), `message ${payload} is there though ${this.settled.has(payload) ? 'acknowledged' : 'never sent'}`);
    }
    for (const [payload, state] of this.messages) {
      const there = dump.messages.has(payload);
      if (state === 'there') assert.ok(there, `message ${payload} is lost`);
      if (state !== 'there') this.doubtsDone += there === (state === 'maybe there') ? 1 : 0;
      if (there) this.messages.set(payload, 'there');
      else this.gone(payload);
    }
  }

  gone(payload) {
    this.messages.delete(payload);
    this.settled.add(payload);
  }
}

// Entries by key (oldest first, markers left out), buckets, and how often each message is there.
function readDump(text) {
  const dump = { buckets: new Map(), entries: new Map(), messages: new Map() };
  const lines = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.at(-1)?.type, 'end', 'the dump is whole');
  for (const line of lines) {
    if (line.type === 'bucket') dump.buckets.set(line.name, line);
    if (line.type === 'message') dump.messages.set(line.payload, (dump.messages.get(line.payload) ?? 0) + 1);
    if (line.type !== 'entry' && line.type !== 'history') continue;
    const name = `${line.bucket} ${JSON.stringify(line.key)}`;
    dump.entries.set(name, [...(dump.entries.get(name) ?? []), line]);
  }
  for (const held of dump.entries.values()) held.sort((a, b) => a.revision - b.revision);
  for (const { bucket, revision } of [...dump.entries.values()].flat())
    assert.ok(revision <= dump.buckets.get(bucket).revision, `${bucket}: an entry is ahead of its bucket`);
  return dump;
}
