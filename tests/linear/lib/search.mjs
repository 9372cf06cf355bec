// Is a history linearizable?  A search for one order of its operations that respects real time (what had returned before another
// was invoked comes before it) and that the model can go through.  The method is Wing and Gong's with Lowe's memoisation: a
// configuration (which operations are in the order already, and the state they led to) is never gone into twice.
//
// An operation of unknown outcome has returned = Infinity: it may take effect at any time after its invocation, or never.

// The configurations gone into: exact, not by hash alone.  A row is the state and the bits of the operations in the order.
class Seen {
  constructor(words) {
    this.width = words + 1;
    this.count = 0;
    this.slots = new Int32Array(1024).fill(-1);
    this.rows = new Int32Array(512 * this.width);
    this.hashes = new Int32Array(512);
  }

  // Whether it was not there before.
  add(state, bits, hash) {
    if (this.count * 2 >= this.slots.length) this.grow();
    const mask = this.slots.length - 1;
    let at = hash & mask;
    for (; this.slots[at] >= 0; at = (at + 1) & mask) {
      if (this.equal(this.slots[at], state, bits, hash)) return false;
    }
    this.slots[at] = this.count;
    this.hashes[this.count] = hash;
    this.rows[this.count * this.width] = state;
    this.rows.set(bits, this.count * this.width + 1);
    this.count++;
    return true;
  }

  equal(row, state, bits, hash) {
    const at = row * this.width;
    if (this.hashes[row] !== hash || this.rows[at] !== state) return false;
    for (let i = 0; i < bits.length; i++) if (this.rows[at + 1 + i] !== bits[i]) return false;
    return true;
  }

  grow() {
    const [slots, rows, hashes] = [this.slots.length * 2, this.rows, this.hashes];
    this.rows = new Int32Array(rows.length * 2);
    this.rows.set(rows);
    this.hashes = new Int32Array(hashes.length * 2);
    this.hashes.set(hashes);
    this.slots = new Int32Array(slots).fill(-1);
    for (let row = 0; row < this.count; row++) {
      let at = hashes[row] & (slots - 1);
      while (this.slots[at] >= 0) at = (at + 1) & (slots - 1);
      this.slots[at] = row;
    }
  }
}

function mix(n) {
  let h = Math.imul(n + 1, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

class Search {
  constructor(ops, model, limit) {
    const byInvocation = (a, b) => a.invoked - b.invoked;
    const returned = ops.filter((op) => op.returned !== Infinity).sort(byInvocation);
    this.known = returned.length; // the operations with an answer come first, then those without
    this.ops = [...returned, ...ops.filter((op) => op.returned === Infinity).sort(byInvocation)];
    this.invoked = Float64Array.from(this.ops, (op) => op.invoked);
    this.returned = Float64Array.from(this.ops, (op) => op.returned);
    this.hashes = Int32Array.from(this.ops, (_, i) => mix(i));
    this.bits = new Int32Array((this.ops.length + 31) >> 5);
    this.hash = 0;
    this.left = this.known;
    this.model = model;
    this.limit = limit;
    this.seen = new Seen(this.bits.length);
    this.deepest = { left: Infinity };
  }

  has(i) {
    return (this.bits[i >> 5] >>> (i & 31)) & 1;
  }

  flip(i) {
    this.bits[i >> 5] ^= 1 << (i & 31);
    this.hash ^= this.hashes[i];
    if (i < this.known) this.left += this.has(i) ? -1 : 1;
  }

  // The operations that may be next in real time: those invoked before any other returned.
  eligible(first) {
    const found = [];
    let bound = Infinity;
    for (let i = first; i < this.known && this.invoked[i] < bound; i++) {
      if (this.has(i)) continue;
      if (this.returned[i] < bound) bound = this.returned[i];
      found.push(i);
    }
    const next = found.filter((i) => this.invoked[i] < bound).sort((a, b) => this.returned[a] - this.returned[b]);
    for (let i = this.known; i < this.ops.length && this.invoked[i] < bound; i++) if (!this.has(i)) next.push(i);
    return next;
  }

  // The steps to try from a state: [operation, state, …].  One that changes nothing and may be next can be taken at once: any
  // order that has it later has it as well now.  One of unknown outcome that would change nothing need never be taken.
  steps(first, state) {
    const next = this.eligible(first);
    if (this.left < this.deepest.left) this.deepest = { left: this.left, state, next };
    const steps = [];
    for (const i of next) {
      const to = this.model.step(state, this.ops[i]);
      if (to === state && i < this.known) return [i, to];
      if (to >= 0 && to !== state) steps.push(i, to);
    }
    return steps;
  }

  run() {
    const stack = [];
    let frame = { steps: this.steps(0, this.model.start), at: 0, first: 0, op: -1 };
    for (;;) {
      if (this.left === 0) return { ok: true, configurations: this.seen.count };
      if (frame.at === frame.steps.length) {
        if (frame.op >= 0) this.flip(frame.op);
        if (stack.length === 0) return this.failure('no order explains it');
        frame = stack.pop();
        continue;
      }
      const [op, state] = [frame.steps[frame.at], frame.steps[frame.at + 1]];
      frame.at += 2;
      this.flip(op);
      if (!this.seen.add(state, this.bits, this.hash ^ mix(-2 - state))) {
        this.flip(op);
        continue;
      }
      if (this.seen.count > this.limit) return this.failure(`undecided after ${this.limit} configurations`);
      let { first } = frame;
      while (first < this.known && this.has(first)) first++;
      stack.push(frame);
      frame = { steps: this.steps(first, state), at: 0, first, op };
    }
  }

  failure(reason) {
    const { state, next, left } = this.deepest;
    const why = `${reason}: ${this.known - left} of ${this.known} in order`;
    return { ok: false, why, configurations: this.seen.count, state, next: next.map((i) => this.ops[i]) };
  }
}

// Answers {ok: true, configurations}, or {ok: false, why, state, next}: how far it went at most, and the operations of which
// none could be next there.  model: {start, step(state, op) → state or -1}, states being small integers.
export function search(ops, model, limit = 2_000_000) {
  return new Search(ops, model, limit).run();
}
