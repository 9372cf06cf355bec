// A bucket in memory, as the server keeps it: revisions, history, markers, waiters. For the tests of the client alone.
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function matches(pattern, key) {
  const parts = pattern.split(".");
  const open = parts.at(-1) === ">";
  if (open ? key.length < parts.length : key.length !== parts.length) return false;
  return parts.every((part, at) => part === "*" || (open && at === parts.length - 1) || part === key[at]);
}

export class FakeBucket {
  constructor(name, options = {}) {
    this.name = name;
    this.options = { history: 1, ttl: 0, maxValueSize: -1, maxBytes: -1, maxKeys: -1, description: "", metadata: {},
      storage: "file", compression: false, markerTtl: 1800000, republish: null, mirror: null, sources: [],
      replicas: 1, placement: null, ...options };
    this.entries = []; // all that is retained, ascending
    this.revision = 0;
    this.compacted = 0;
    this.waiters = new Set();
  }

  current(key) {
    return this.entries.findLast((entry) => same(entry.key, key)) ?? null;
  }

  live(key) {
    const entry = this.current(key);
    return entry && !entry.operation ? entry : null;
  }

  // Applies changes [{key, value…, operation}] under one revision.
  commit(changes) {
    this.revision++;
    for (const change of changes) {
      const before = this.current(change.key);
      const version = change.operation ? (before?.version ?? 0) : (before && !before.operation ? before.version : 0) + 1;
      const keep = change.operation === "PURGE" ? 0 : this.options.history - 1;
      const older = this.entries.filter((entry) => same(entry.key, change.key));
      const gone = new Set(older.slice(0, Math.max(0, older.length - keep)));
      this.entries = this.entries.filter((entry) => !gone.has(entry));
      this.entries.push({ ...(change.operation && { value: null }), ...change, version, revision: this.revision, created: Date.now() });
    }
    for (const wake of this.waiters) wake();
    return this.revision;
  }

  select({ key, keys, prefix, filter }) {
    const filters = typeof filter === "string" ? [filter] : filter;
    return (entry) =>
      key ? same(entry.key, key)
      : keys ? keys.some((one) => same(one, entry.key))
      : prefix ? entry.key.length > prefix.length && same(entry.key.slice(0, prefix.length), prefix)
      : filters ? filters.some((one) => matches(one, entry.key))
      : true;
  }

  changes(since, selector) {
    return this.entries.filter((entry) => entry.revision > since).filter(this.select(selector));
  }

  initial(include, selector) {
    const chosen = this.entries.filter(this.select(selector));
    if (include === "updates") return [];
    if (include === "history") return chosen;
    return chosen.filter((entry) => this.current(entry.key) === entry);
  }

  wait(ms, signal) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.waiters.delete(done);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.waiters.add(done);
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  status() {
    const live = this.entries.filter((entry) => this.live(entry.key) === entry).length;
    return { name: this.name, ...this.options, values: this.entries.length, keys: live, bytes: 0,
      revision: this.revision, compacted: this.compacted, limits: {}, created: 1 };
  }
}
