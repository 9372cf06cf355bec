// A client's choices: which request is next, at random and from what it saw last.
import { ABSENT } from './model.mjs';
import * as request from './requests.mjs';

// How often each kind of group is chosen.
const WEIGHTS = { register: 4, counter: 2, list: 4, pair: 4 };
const EVERYTHING = 0.04; // how often a read takes in all groups

export class Client {
  constructor(name, space, rng) {
    Object.assign(this, { name, space, rng });
    this.known = new Map(); // key → {value, version, revision} as it saw it last; revision 0 where the key was missing
    this.choices = space.groups.flatMap((group) => Array(WEIGHTS[group.kind]).fill(group));
  }

  // The next request, number n of all clients' together: what it writes is made from that, and is written by nobody else.
  next(n) {
    this.n = n;
    if (this.rng() < EVERYTHING) return request.getMany(this.space, this.space.all);
    const group = this.pick(this.choices);
    return this[group.kind](group);
  }

  // Takes note of what an operation has told.
  remember(op) {
    const { known } = this;
    if (op.outcome === 'refused') for (const { key } of op.checks) known.delete(key);
    if (op.outcome !== 'done') return;
    op.reads.forEach((key, i) => {
      const [value, version] = [op.values[i], op.versions[i]];
      known.set(key, { value, version, revision: value === ABSENT ? 0 : op.revisions[i] });
    });
    op.writes.forEach(({ key, type, value }, i) => {
      if (type === 'set') known.set(key, { value, version: op.results[i].version, revision: op.commit });
      else known.delete(key);
    });
  }

  pick(list) {
    return list[this.rng.below(list.length)];
  }

  // A number that is written to no key but this, and once.
  fresh(key) {
    return this.n * this.space.all.length + key;
  }

  register({ keys: [key] }) {
    const { space } = this;
    const value = this.fresh(key);
    const by = this.pick(['version', 'revision']);
    const seen = this.known.get(key);
    const kind = this.rng.below(16);
    if (kind < 4 || !seen) return request.get(space, key, this.rng() < 0.5);
    if (kind < 6) return request.set(space, key, value);
    if (kind === 6) return request.remove(space, key);
    if (!seen.revision) return request.create(space, key, value);
    if (kind < 11) return request.update(space, key, value, seen, by);
    if (kind === 11) return request.remove(space, key, seen, by);
    if (kind === 12) return request.create(space, key, value);
    const checks = [{ key, known: seen, by }];
    if (kind === 13) return request.atomic(space, checks, []);
    if (kind === 14)
      return request.atomic(space, checks, [
        { key, type: 'delete' },
        { key, type: 'set', value },
      ]);
    return request.atomic(space, checks, [{ key, type: 'set', value }]);
  }

  counter({ keys: [key] }) {
    const kind = this.rng.below(12); // what is set is no sum of increments, so that one can tell by whom it was
    if (kind < 7) return request.increment(this.space, key, 1 + this.rng.below(3));
    if (kind < 10) return request.get(this.space, key, this.rng() < 0.5);
    return kind === 10 ? request.remove(this.space, key) : request.set(this.space, key, this.n * 10_000);
  }

  // Some of a group's keys, one at least.
  some(keys) {
    const chosen = keys.filter(() => this.rng() < 0.6);
    return chosen.length ? chosen : [this.pick(keys)];
  }

  // Adds this request's number to several lists at once, if they still are what the client saw last.
  list(group) {
    const { space, known } = this;
    const keys = this.some(group.keys);
    const kind = this.rng.below(10);
    if (kind < 2) return request.list(space, group, this.rng() < 0.3);
    if (kind < 4 || !keys.every((key) => known.has(key))) return request.getMany(space, keys);
    const added = (key) => space.valueOf([...space.listOf(known.get(key).value), this.n]);
    return request.atomic(
      space,
      keys.map((key) => ({ key, known: known.get(key), by: this.pick(['version', 'revision']) })),
      keys.map((key) => ({ key, type: 'set', value: added(key) })),
    );
  }

  // Several keys at once, checked or not; the last of the group is a counter of such writes.
  pair(group) {
    const { space, known } = this;
    const keys = this.some(group.keys.slice(0, -1));
    const sum = group.keys.at(-1);
    const kind = this.rng.below(12);
    if (kind < 2) return request.list(space, group, this.rng() < 0.3);
    if (kind < 4) return request.getMany(space, group.keys);
    if (kind === 4) return request.get(space, this.pick(group.keys), true);
    const checks =
      kind < 8
        ? keys
            .filter((key) => known.has(key))
            .map((key) => ({ key, known: known.get(key), by: this.pick(['version', 'revision']) }))
        : [];
    const writes = keys.map((key) => (this.rng() < 0.2 ? { key, type: 'delete' } : { key, type: 'set', value: this.fresh(key) }));
    return request.atomic(space, checks, [...writes, { key: sum, type: 'increment', value: 1 }]);
  }
}
