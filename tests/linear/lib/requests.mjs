// The requests that clients make: each as it is sent, as the model understands it, and how its answer is read.
//
// A request is {endpoint, body, checks, reads, writes, take(op, status, answer)}; take fills in what model.mjs compares, and what
// revisions.mjs does: commit (the revision it made), present (the bucket's, where it made none), revisions (of entries read),
// conflict {key, revision, version} (what a refusal tells is there).
import { ABSENT } from './model.mjs';

function seen(space, op, entries) {
  const put = (entry) => entry && !entry.operation;
  op.outcome = 'done';
  op.values = entries.map((entry) => (put(entry) ? space.valueOf(entry.value) : ABSENT));
  op.versions = entries.map((entry) => (put(entry) ? entry.version : 0));
  op.revisions = entries.map((entry) => entry?.revision ?? 0);
}

function reading(space, endpoint, body, reads, entriesOf) {
  return { endpoint, body, checks: [], reads, writes: [], take: (op, _, answer) => seen(space, op, entriesOf(answer)) };
}

export function get(space, key, markers) {
  const body = { key: space.name(key), ...(markers && { markers: true }) };
  return reading(space, '/kv/get', body, [key], ({ entry }) => [entry]);
}

export function getMany(space, keys) {
  return reading(space, '/kv/get-many', { keys: keys.map((key) => space.name(key)) }, keys, ({ entries }) => entries);
}

// All keys of a group, from the one page that they fit on.
export function list(space, group, reverse) {
  const { keys } = group;
  const entriesOf = ({ entries, cursor }) => {
    if (cursor !== null) throw new Error('a short list has a second page');
    const found = new Map(entries.map((entry) => [JSON.stringify(entry.key), entry]));
    return keys.map((key) => found.get(JSON.stringify(space.name(key))) ?? null);
  };
  return reading(space, '/kv/list', { prefix: space.prefix(group), ...(reverse && { reverse: true }) }, keys, entriesOf);
}

// A write of one key.  check: {version} or {value}, beside the fields of the body that ask for it.
function writing(space, endpoint, fields, check, write) {
  const { key } = write;
  const take = (op, status, answer) => {
    if (status === 409) {
      op.outcome = 'refused';
      op.conflict = { key, revision: answer.error.revision, version: answer.error.version ?? 0 };
      return;
    }
    op.outcome = 'done';
    op.results = [{ value: answer.value, version: answer.version, existed: answer.deleted }];
    if (answer.deleted === false) op.present = answer.revision;
    else op.commit = answer.revision;
  };
  return {
    endpoint,
    body: { key: space.name(key), ...fields },
    checks: check ? [{ key, ...check }] : [],
    reads: [],
    writes: [write],
    take,
  };
}

export function set(space, key, value) {
  return writing(space, '/kv/set', { value }, null, { key, type: 'set', value });
}

export function create(space, key, value) {
  return writing(space, '/kv/create', { value }, { version: 0 }, { key, type: 'set', value });
}

// known: the entry as the client saw it last, {value, version, revision}; by: 'version' or 'revision'.
const expected = (known, by) => (by === 'version' ? { version: known.version } : { value: known.value });

export function update(space, key, value, known, by) {
  return writing(space, '/kv/update', { value, [by]: known[by] }, expected(known, by), { key, type: 'set', value });
}

export function remove(space, key, known, by) {
  const write = { key, type: 'delete' };
  return known
    ? writing(space, '/kv/delete', { [by]: known[by] }, expected(known, by), write)
    : writing(space, '/kv/delete', {}, null, write);
}

export function increment(space, key, delta) {
  return writing(space, '/kv/increment', { delta }, null, { key, type: 'increment', value: delta });
}

// An atomic operation.  checks: [{key, known, by}], where known without a revision means "must not exist".
export function atomic(space, checks, writes) {
  const bodyOf = {
    set: ({ value }) => ({ value: space.jsonOf(value) }),
    delete: () => ({}),
    increment: ({ value }) => ({ delta: value }),
  };
  const take = (op, _, answer) => {
    op.outcome = answer.ok ? 'done' : 'refused';
    if (!answer.ok) {
      op.failed = answer.failed;
      return;
    }
    op.results = answer.results.map(({ value, version }) => ({ value, version }));
    op[writes.length ? 'commit' : 'present'] = answer.revision;
  };
  return {
    endpoint: '/kv/atomic',
    body: {
      checks: checks.map(({ key, known, by }) => ({ key: space.name(key), [by]: known.revision ? known[by] : null })),
      mutations: writes.map((write) => ({ type: write.type, key: space.name(write.key), ...bodyOf[write.type](write) })),
    },
    checks: checks.map(({ key, known, by }) => ({ key, ...(known.revision ? expected(known, by) : { version: 0 }) })),
    reads: [],
    writes,
    take,
  };
}
