// Takes the store at its word: revisions say in which order everything took place.  Then that order must agree with every answer
// (the entry of a revision is what its writer wrote, versions count) and with real time.
import { Graph } from './graph.mjs';
import { ABSENT } from './model.mjs';

// One history's commits: who made which revision, and what it left at each key.
class Commits {
  constructor({ ops, floor, last, entries }) {
    Object.assign(this, { ops, floor, last, entries });
    this.problems = [];
    this.at = new Map(); // revision → {revision, i: the operation's index, or -1 where only its trace is known}
    this.keys = new Map(); // key → [{revision, i, value, version, maybe}], ascending; a value of ABSENT is a deletion
    this.open = new Set(); // indexes of operations of unknown outcome not known to have committed
  }

  say(text) {
    this.problems.push(`revisions: ${text}`);
  }

  commit(revision, i) {
    if (!(revision > this.floor && revision <= this.last))
      this.say(`#${this.ops[i]?.id} got ${revision}, not in ${this.floor + 1}…${this.last}`);
    if (this.at.has(revision))
      this.say(`${revision} was given to #${this.ops[this.at.get(revision).i]?.id} and to #${this.ops[i]?.id}`);
    this.at.set(revision, { revision, i });
  }

  left(key, state) {
    if (!this.keys.has(key)) this.keys.set(key, []);
    const states = this.keys.get(key);
    // Within one operation the last counts; after a deletion versions start again.
    const restarted = states.at(-1)?.revision === state.revision && states.pop().value === ABSENT;
    states.push({ ...state, restarted });
  }

  // What was answered.
  addAnswered() {
    for (const [i, op] of this.ops.entries()) {
      if (op.outcome === 'unknown') this.open.add(i);
      if (op.outcome !== 'done' || op.commit === undefined) continue;
      this.commit(op.commit, i);
      op.writes.forEach((write, n) => this.leftBy(i, op.commit, write, op.results[n]));
    }
  }

  leftBy(i, revision, { key, type, value }, { value: sum, version, existed: sure }) {
    // A deletion within an atomic operation may have found nothing, and then leaves no marker.
    this.left(
      key,
      type === 'delete'
        ? { revision, i, value: ABSENT, version: 0, maybe: !sure }
        : { revision, i, value: sum ?? value, version },
    );
  }

  // Every entry that somebody saw.
  seen() {
    const done = this.ops.filter((op) => op.outcome === 'done');
    const read = done.flatMap((op) =>
      op.reads.map((key, n) => ({ key, revision: op.revisions[n], value: op.values[n], version: op.versions[n] })),
    );
    return [...(this.entries ?? []), ...read].filter(({ revision }) => revision > 0);
  }

  // Entries of which the writer got no answer: whoever wrote that value, since no value is written twice…
  addByValue({ key, revision, value }) {
    if (this.at.has(revision)) return;
    const i = [...this.open].find((open) =>
      this.ops[open].writes.some((w) => w.key === key && w.type === 'set' && w.value === value),
    );
    if (i === undefined) return;
    this.commit(revision, i);
    this.open.delete(i);
    for (const w of this.ops[i].writes) {
      // What else it wrote is known where it does not depend on what was there.
      this.left(w.key, { revision, i, value: { delete: ABSENT, set: w.value }[w.type], maybe: w.type === 'delete' });
    }
  }

  // … or else somebody who deleted or incremented.
  addNameless({ key, revision, value, version }) {
    const type = value === ABSENT ? 'delete' : 'increment';
    if (!this.at.has(revision)) {
      if (!this.mayHaveWritten(key, (w) => w.type === type))
        return this.say(`${revision} of key ${key} (value ${value}) has no writer`);
      this.commit(revision, -1);
    }
    if (this.at.get(revision).i < 0 && !this.stateAt(key, revision)) this.left(key, { revision, i: -1, value, version });
  }

  addSeen() {
    const seen = this.seen();
    for (const entry of seen) this.addByValue(entry);
    for (const entry of seen) this.addNameless(entry);
    for (const { key, revision, value, version } of seen) {
      const state = this.stateAt(key, revision);
      if (!state) continue;
      state.value ??= value;
      state.version ??= version;
      if (value === ABSENT) state.maybe = false;
    }
    for (const states of this.keys.values()) states.sort((a, b) => a.revision - b.revision);
  }

  stateAt(key, revision) {
    return this.keys.get(key)?.find((state) => state.revision === revision);
  }

  // An entry that was answered is the one that its revision's writer left.
  judgeEntry(who, key, revision, value, version) {
    if (!(revision > 0)) return;
    const state = this.stateAt(key, revision);
    if (!state) return this.say(`${who} saw key ${key} at ${revision}, which did not write it`);
    if (state.value !== undefined && state.value !== value)
      this.say(`${who} saw ${value} as key ${key} at ${revision}, where ${state.value} was written`);
    if (value !== ABSENT && state.version !== undefined && state.version !== version)
      this.say(`${who} saw version ${version} of key ${key} at ${revision}, which is ${state.version}`);
  }

  judgeEntries() {
    for (const op of this.ops) {
      const who = `#${op.id}`;
      if (op.outcome === 'done')
        op.reads.forEach((key, n) => this.judgeEntry(who, key, op.revisions[n], op.values[n], op.versions[n]));
      if (op.conflict?.revision > 0) this.judgeConflict(who, op.conflict);
    }
  }

  // A refusal tells a key's revision and version: somebody's, or that of a request without an answer.
  judgeConflict(who, { key, revision, version }) {
    const state = this.stateAt(key, revision);
    const said = `${who} was told version ${version} of key ${key} at ${revision}`;
    if (!state && !this.mayHaveWritten(key, () => true)) this.say(`${said}, which did not write it`);
    if (state?.version !== undefined && state.version !== version) this.say(`${said}, which is ${state.version}`);
  }

  // Whether a request without an answer, not known to have been carried out, would have written the key.
  mayHaveWritten(key, so) {
    for (const i of this.open) if (this.ops[i].writes.some((w) => w.key === key && so(w))) return true;
    return false;
  }

  // Versions count the writes since the key was last missing; a write of unknown outcome may be one nobody saw.
  judgeVersions() {
    for (const [key, states] of this.keys) {
      const maybe = this.mayHaveWritten(key, () => true);
      let before = { version: 0, value: ABSENT };
      for (const state of maybe && !this.entries ? [] : states) {
        const gone = state.value === ABSENT;
        const due = gone ? 0 : state.restarted ? 1 : before.version + 1;
        if (due >= 0 && state.version !== undefined && state.version !== due)
          this.say(`version ${state.version} of key ${key} at ${state.revision} follows ${before.version}`);
        before = state;
      }
    }
  }

  // Each revision is somebody's, where nobody without an answer can have taken it.
  judgeNumbers() {
    const nameless = [...this.at.values()].filter(({ i }) => i < 0).length;
    const spare = this.last - this.floor - this.at.size;
    if (spare < 0 || spare + nameless > this.open.size) {
      this.say(
        `${spare + nameless} revisions of ${this.floor + 1}…${this.last} are nobody's, ${this.open.size} requests had no answer`,
      );
    }
  }

  // Where everything is kept, what was written is all there, and nothing else.
  judgeKept() {
    const kept = new Map(this.entries.map((entry) => [`${entry.key} ${entry.revision}`, entry]));
    for (const [key, states] of this.keys) {
      for (const state of states) {
        const entry = kept.get(`${key} ${state.revision}`);
        if (!entry && !state.maybe) this.say(`the history of key ${key} lacks ${state.revision}`);
        if (entry) this.judgeEntry('the history', key, entry.revision, entry.value, entry.version);
      }
    }
    for (const { key, revision } of this.entries)
      if (!this.stateAt(key, revision)) this.say(`the history has ${revision} of key ${key}, which nobody wrote`);
  }

  graph() {
    const graph = new Graph(this.ops);
    const order = [...this.at.values()].sort((a, b) => a.revision - b.revision).filter(({ i }) => i >= 0);
    for (let n = 1; n < order.length; n++) graph.add(order[n - 1].i, order[n].i, `(${order[n - 1].revision}) committed before`);
    for (const [i, op] of this.ops.entries()) {
      for (const { key, revision, gone } of this.views(op)) {
        const states = key === undefined ? order : (this.keys.get(key) ?? []);
        const writer = states.find((state) => state.revision === revision);
        if (writer?.i >= 0) graph.add(writer.i, i, `(${revision}) was seen by`);
        const next = states.find((state) => state.revision > revision && state.i >= 0 && !(gone && state.maybe));
        if (next) graph.add(i, next.i, `did not see (${next.revision}) of`);
      }
    }
    graph.addRealTime();
    return graph;
  }

  // What an operation saw: keys at revisions, 0 where they had never been written; without a key, the bucket as a whole.
  views(op) {
    if (op.outcome === 'unknown') return [];
    const views =
      op.outcome === 'done' ? op.reads.map((key, n) => ({ key, revision: op.revisions[n], gone: op.values[n] === ABSENT })) : [];
    if (op.conflict) views.push(op.conflict);
    if (op.present !== undefined) views.push({ revision: op.present });
    const unwritten = ({ key }) =>
      !(this.keys.get(key) ?? []).some(({ value }) => value === ABSENT || value === undefined) &&
      !this.mayHaveWritten(key, ({ type }) => type === 'delete');
    return views.filter((view) => view.revision > 0 || (view.key !== undefined && unwritten(view)));
  }
}

// Answers {problems, edges}.  history: {ops; floor, last: the bucket's revision before and after; entries: all that it keeps, as
// [{key, revision, value, version}], or null where it keeps the newest only}.
export function inspectRevisions(history) {
  const commits = new Commits(history);
  commits.addAnswered();
  commits.addSeen();
  commits.judgeEntries();
  commits.judgeVersions();
  commits.judgeNumbers();
  if (history.entries) commits.judgeKept();
  const graph = commits.graph();
  const cycle = graph.cycle();
  if (cycle) commits.say(`a cycle: ${cycle.map(({ op, why }) => `#${op.id} ${why}`).join(' ')} #${cycle[0].op.id}`);
  return { problems: commits.problems, edges: graph.from.length };
}
