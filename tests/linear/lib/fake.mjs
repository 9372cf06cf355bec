// A store of a few lines, with the delays and the lost answers of a real one, and with faults to choose from: what the checkers
// are tried on.  Everything follows from the seed, since nothing but this program takes part.
import { Space } from './space.mjs';
import { Workload, historyOf } from './workload.mjs';
import { random } from '../../lib/random.mjs';

// Each fault of a store, and what it is.  HOW_OFTEN of the requests it concerns suffer it.
const HOW_OFTEN = 0.15;
export const FAULTS = {
  'stale read': 'a read answers from a snapshot that was taken before it was asked for',
  'read skew': 'a read of several keys takes some of them from an older snapshot',
  'lost update': 'a write is acknowledged and gone with the next',
  'late effect': 'a write is acknowledged first, and takes effect later',
  'check outside': 'checks are judged against the state of some time before',
  'increment twice': 'an increment is done again after it was answered',
  'increment from old': 'an increment adds to a value read some time before',
  'dirty read': 'a write that is refused as a whole can be seen',
  'half atomic': 'of an atomic operation the first write can be seen before the others',
  'version back': 'a version that does not count on',
  'revision twice': 'a revision that was given before',
  'deletion undone': 'a deletion answers that there was something, and leaves it',
  'wrong entry': 'a read answers the value of another revision',
  'refused though right': 'checks are said to fail that hold',
};

class State {
  constructor(entries = new Map(), revision = 0) {
    this.entries = entries; // JSON of the key → {key, value, version, revision, operation}
    this.revision = revision;
  }

  copy() {
    return new State(new Map(this.entries), this.revision);
  }

  live(key) {
    const entry = this.entries.get(JSON.stringify(key));
    return entry && !entry.operation ? entry : null;
  }

  holds({ key, version, revision }) {
    const entry = this.live(key);
    return version !== undefined ? (entry?.version ?? null) === version : (entry?.revision ?? null) === revision;
  }

  put(key, value) {
    const version = (this.live(key)?.version ?? 0) + 1;
    this.entries.set(JSON.stringify(key), { key, value, version, revision: this.revision });
    return { version };
  }

  apply({ type, key, value, delta = 1 }) {
    if (type === 'set') return this.put(key, value);
    if (type === 'increment') {
      const sum = (this.live(key)?.value ?? 0) + delta;
      return { ...this.put(key, sum), value: sum };
    }
    const existed = this.live(key) !== null;
    if (existed) this.entries.set(JSON.stringify(key), { key, revision: this.revision, operation: 'DEL' });
    return { existed };
  }
}

export class Fake {
  constructor(rng, fault) {
    Object.assign(this, { rng, fault });
    this.state = new State();
    this.past = [this.state]; // snapshots; the present one is the last
    this.log = []; // every entry that there ever was
    this.later = []; // what goes on behind answers
    this.suffered = 0;
  }

  // As many turns of the event loop.
  async wait(turns) {
    for (let n = this.rng.below(turns); n > 0; n--) await new Promise(setImmediate);
  }

  // Does something a while later, whatever has been answered by then.
  behind(turns, action) {
    this.later.push(this.wait(turns).then(action));
  }

  suffers(fault) {
    if (this.fault !== fault || this.rng() >= HOW_OFTEN || this.past.length < 4) return false;
    this.suffered++;
    return true;
  }

  // A snapshot of some writes ago.
  old() {
    return this.past.at(-2 - this.rng.below(Math.min(6, this.past.length - 1)));
  }

  install(state) {
    for (const [name, entry] of state.entries) if (entry !== this.state.entries.get(name)) this.log.push(entry);
    this.state = state;
    this.past.push(state);
  }

  async call(_, endpoint, body) {
    const fate = this.rng();
    await this.wait(6);
    if (fate < 0.02) return { unsent: true };
    if (fate < 0.04) {
      // The answer is lost; the request may be carried out at any time after that, or never.
      if (fate < 0.03) this.behind(60, () => this.serve(endpoint, body));
      return { lost: true };
    }
    const answer = await this.serve(endpoint, body);
    await this.wait(6);
    return { ...answer, json: JSON.parse(JSON.stringify(answer.json)) };
  }

  serve(endpoint, body) {
    if (endpoint === '/kv/get' || endpoint === '/kv/get-many' || endpoint === '/kv/list')
      return { status: 200, json: this.read(endpoint, body) };
    return endpoint === '/kv/atomic' ? this.atomic(body) : this.single(endpoint, body);
  }

  read(endpoint, { key, keys, prefix, markers }) {
    const state = this.suffers('stale read') ? this.old() : this.state;
    const find = (wanted) => {
      const from = !key && this.suffers('read skew') ? this.old() : state;
      const entry = from.entries.get(JSON.stringify(wanted));
      if (!entry || (entry.operation && !markers)) return null;
      const other = !entry.operation && this.suffers('wrong entry') ? this.old().live(wanted) : null;
      return other ? { ...entry, value: other.value } : entry;
    };
    if (key) return { entry: find(key) };
    if (keys) return { entries: keys.map(find) };
    const below = [...state.entries.values()].filter((entry) => prefix.every((part, i) => entry.key[i] === part));
    return { entries: below.map((entry) => find(entry.key)).filter((entry) => entry), cursor: null };
  }

  single(endpoint, { key, value, delta, version, revision }) {
    const type = { '/kv/delete': 'delete', '/kv/increment': 'increment' }[endpoint] ?? 'set';
    const asked = [{ version, revision }].filter((check) => check.version ?? check.revision);
    const checks = (endpoint === '/kv/create' ? [{ version: null }] : asked).map((check) => ({ key, ...check }));
    const change = this.change(checks, [{ type, key, value, delta }]);
    if (change.failed) {
      const entry = this.state.live(key);
      return { status: 409, json: { error: { revision: entry?.revision ?? null, version: entry?.version ?? null } } };
    }
    const [result] = change.results;
    const answer = type === 'delete' ? { deleted: result.existed } : result;
    return this.answer(change, { ok: true, ...answer, revision: change.next.revision });
  }

  atomic({ checks, mutations }) {
    const change = this.change(checks, mutations);
    if (change.failed) return { status: 200, json: { ok: false, failed: change.failed } };
    return this.answer(change, { ok: true, results: change.results, revision: change.next.revision });
  }

  // Judges checks and carries out writes on a copy of the state.
  change(checks, writes) {
    const judged = this.suffers('check outside') ? this.old() : this.state;
    const failed = checks.flatMap((check, i) => (judged.holds(check) ? [] : [i]));
    if (checks.length && !failed.length && this.suffers('refused though right')) failed.push(0);
    if (failed.length) {
      if (writes.length && this.suffers('dirty read')) this.show(writes);
      return { failed };
    }
    const next = this.state.copy();
    this.spoil(next, writes);
    next.revision++;
    if (this.suffers('revision twice')) next.revision--;
    const results = writes.map((write) => next.apply(write));
    const commits = results.some(({ existed }) => existed !== false);
    if (!commits) next.revision = this.state.revision;
    return { next, results, writes, commits };
  }

  // What a write finds wrong at its keys.
  spoil(state, writes) {
    for (const { type, key } of writes) {
      const entry = state.live(key);
      if (entry && type !== 'delete' && this.suffers('version back'))
        state.entries.set(JSON.stringify(key), { ...entry, version: 0 });
      const old = type === 'increment' && this.suffers('increment from old') ? this.old().live(key) : null;
      if (old) state.entries.set(JSON.stringify(key), old);
    }
  }

  // A state that can be seen for a while, though it never was.
  show(writes) {
    const before = this.state;
    const dirty = before.copy();
    for (const write of writes) dirty.apply(write);
    this.state = dirty;
    this.behind(12, () => {
      if (this.state === dirty) this.state = before;
    });
  }

  // Makes a change, and answers.
  async answer({ next, writes, commits }, json) {
    const answer = { status: 200, json };
    const [{ type } = {}] = writes;
    if (!commits || this.suffers('lost update') || (type === 'delete' && this.suffers('deletion undone'))) return answer;
    if (this.suffers('late effect')) {
      this.behind(40, () => this.again(writes));
    } else if (writes.length > 1 && this.suffers('half atomic')) {
      this.again(writes.slice(0, 1));
      await this.wait(12);
      this.again(writes.slice(1));
    } else {
      this.install(next);
      if (type === 'increment' && this.suffers('increment twice')) this.again(writes);
    }
    return answer;
  }

  again(writes) {
    const next = this.state.copy();
    next.revision++;
    for (const write of writes) next.apply(write);
    this.install(next);
  }
}

// A history of so many requests by some clients on a fake store, as check.mjs takes it; suffered: how often the fault took place.
export async function fakeHistory({ seed, fault, requests = 150, clients = 5, kept = false }) {
  const rng = random(seed);
  const fake = new Fake(rng, fault);
  const space = new Space('f', { register: 2, counter: 1, list: 3, pair: 3 });
  const workload = new Workload(space, 'fake', (...args) => fake.call(...args));
  await Promise.all(Array.from({ length: clients }, (_, i) => workload.run(i, rng, requests)));
  await Promise.all(fake.later);
  await workload.last();
  const entries = kept ? historyOf(space, fake.log) : null;
  return { space, ops: workload.ops, floor: 0, last: fake.state.revision, entries, suffered: fake.suffered };
}
