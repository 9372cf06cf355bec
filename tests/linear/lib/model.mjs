// What the operations on some keys mean, one after the other: the specification that a history is compared with.
//
// An operation is {checks, reads, writes} with an answer {outcome, values, results, failed}:
//   checks    [{key, version}] or [{key, value}]: the key's version (0: missing), or the value it must have (ABSENT: missing).  A
//             check by revision is one by value here, since the test writes no value twice.
//   reads     [key], answered by values (ABSENT: missing) and versions
//   writes    [{key, type: 'set' | 'delete' | 'increment', value}], answered by results [{value, version, existed}]
//   outcome   'done'; 'refused' where checks did not hold (failed: which ones, where the answer tells); 'unknown'
export const ABSENT = -1;

export class Model {
  // versions: whether the versions in answers must be right too; without, only values and outcomes are looked at.
  constructor(keys, { versions = false } = {}) {
    this.slot = new Map(keys.map((key, i) => [key, 2 * i]));
    this.versions = versions;
    this.states = [];
    this.ids = new Map();
    this.start = this.intern(keys.flatMap(() => [ABSENT, 0]));
  }

  intern(state) {
    const name = state.join();
    let id = this.ids.get(name);
    if (id === undefined) {
      id = this.states.push(state) - 1;
      this.ids.set(name, id);
    }
    return id;
  }

  // The state that an operation leads to; -1 where its answer is not what it would be.
  step(id, op) {
    const state = this.states[id];
    const failed = op.checks.length ? this.failing(state, op.checks) : op.checks;
    if (failed.length) return op.outcome === 'unknown' || this.refusedSo(state, op, failed) ? id : -1;
    if (op.outcome === 'refused' || !this.readsMatch(state, op)) return -1;
    return op.writes.length ? this.write(state, op) : id;
  }

  failing(state, checks) {
    const failed = [];
    for (const [i, check] of checks.entries()) {
      const at = this.slot.get(check.key);
      const holds = check.version === undefined ? state[at] === check.value : state[at + 1] === check.version;
      if (!holds) failed.push(i);
    }
    return failed;
  }

  refusedSo(state, op, failed) {
    if (op.outcome !== 'refused') return false;
    if (op.failed && op.failed.join() !== failed.join()) return false;
    return !this.versions || !op.conflict || op.conflict.version === state[this.slot.get(op.conflict.key) + 1];
  }

  readsMatch(state, op) {
    for (let i = 0; i < op.reads.length; i++) {
      const at = this.slot.get(op.reads[i]);
      if (state[at] !== op.values[i]) return false;
      if (this.versions && state[at + 1] !== op.versions[i]) return false;
    }
    return true;
  }

  write(state, op) {
    const next = state.slice();
    for (const [i, { key, type, value }] of op.writes.entries()) {
      const at = this.slot.get(key);
      const existed = next[at] !== ABSENT;
      next[at] = type === 'delete' ? ABSENT : type === 'set' || !existed ? value : next[at] + value;
      next[at + 1] = type === 'delete' ? 0 : next[at + 1] + 1;
      if (op.outcome === 'done' && !this.resultMatches(op.results[i], type, existed, next, at)) return -1;
    }
    return this.intern(next);
  }

  resultMatches(result, type, existed, next, at) {
    if (type === 'delete') return result.existed === undefined || result.existed === existed;
    if (type === 'increment' && result.value !== next[at]) return false;
    return !this.versions || result.version === next[at + 1];
  }

  // For messages.
  describe(id) {
    return JSON.stringify(Object.fromEntries([...this.slot].map(([key, at]) => [key, this.states[id].slice(at, at + 2)])));
  }
}
