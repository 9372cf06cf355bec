// Small histories made by hand, each beside one that differs in an answer or two and has no order.
import { ABSENT } from './model.mjs';

// Keys: 0 and 1 are registers, 2 a counter, 3 and 4 lists, 5 and 6 pairs with 7 as their counter.
export const SIZES = { register: 2, counter: 1, list: 2, pair: 3 };

const operation = (invoked, returned, rest) => ({
  invoked,
  returned,
  endpoint: '',
  client: 0,
  checks: [],
  reads: [],
  writes: [],
  outcome: 'done',
  ...rest,
});
export const set = (at, until, key, value, commit, version = 1) =>
  operation(at, until, { writes: [{ key, type: 'set', value }], results: [{ version }], commit });
const add = (at, until, key, sum, commit, version = sum) =>
  operation(at, until, { writes: [{ key, type: 'increment', value: 1 }], results: [{ value: sum, version }], commit });
export const remove = (at, until, key, commit) =>
  operation(at, until, { writes: [{ key, type: 'delete' }], results: [{ existed: true }], commit });
// seen: [value, version, revision] of each key.
export const read = (at, until, keys, ...seen) =>
  operation(at, until, {
    reads: keys,
    values: seen.map(([v]) => v),
    versions: seen.map(([, v]) => v),
    revisions: seen.map(([, , r]) => r),
  });
export const unknown = (op) => ({ ...op, returned: Infinity, outcome: 'unknown', results: undefined, commit: undefined });
export const compare = (at, until, key, from, to, commit, version) =>
  operation(at, until, {
    checks: [{ key, value: from }],
    writes: [{ key, type: 'set', value: to }],
    results: [{ version }],
    commit,
  });
const refused = (at, until, key, value, conflict) =>
  operation(at, until, {
    checks: [{ key, value: 1000 }],
    writes: [{ key, type: 'set', value }],
    outcome: 'refused',
    conflict: { key, ...conflict },
  });
const both = (at, until, writes, commit, versions) =>
  operation(at, until, {
    writes: writes.map(([key, value]) => ({ key, type: 'set', value })),
    results: versions.map((version) => ({ version })),
    commit,
  });
export const NONE = [ABSENT, 0, 0];

// An append to lists: the request's number, behind what each list is said to have held.
function append(space, at, until, lists, item, commit, version) {
  const writes = Object.entries(lists).map(([key, held]) => ({
    key: Number(key),
    type: 'set',
    value: space.valueOf([...held, item]),
  }));
  const checks = Object.entries(lists).map(([key, held]) => ({
    key: Number(key),
    value: held.length ? space.valueOf(held) : ABSENT,
  }));
  return operation(at, until, { checks, writes, results: writes.map(() => ({ version })), commit });
}

// [what it is, the good history, the bad one, who must find it at least, {last: the bucket's revision afterwards}]
export const CASES = [
  [
    'stale read',
    () => [set(0, 1, 0, 10, 1), set(2, 3, 0, 11, 2, 2), read(4, 5, [0], [11, 2, 2])],
    () => [set(0, 1, 0, 10, 1), set(2, 3, 0, 11, 2, 2), read(4, 5, [0], [10, 1, 1])],
    'search revisions',
  ],
  [
    'two reads, the second older',
    () => [set(0, 1, 0, 10, 1), set(2, 9, 0, 11, 2, 2), read(3, 4, [0], [10, 1, 1]), read(5, 6, [0], [11, 2, 2])],
    () => [set(0, 1, 0, 10, 1), set(2, 9, 0, 11, 2, 2), read(3, 4, [0], [11, 2, 2]), read(5, 6, [0], [10, 1, 1])],
    'search revisions',
  ],
  [
    'lost update',
    () => [set(0, 1, 0, 10, 1), compare(2, 5, 0, 10, 11, 2, 2), compare(3, 6, 0, 11, 12, 3, 3)],
    () => [set(0, 1, 0, 10, 1), compare(2, 5, 0, 10, 11, 2, 2), compare(3, 6, 0, 10, 12, 3, 3)],
    'search versions',
  ],
  [
    'acknowledged and gone',
    () => [set(0, 1, 0, 10, 1), read(2, 3, [0], [10, 1, 1])],
    () => [set(0, 1, 0, 10, 1), read(2, 3, [0], NONE)],
    'search revisions',
  ],
  [
    'duplicated increment',
    () => [add(0, 1, 2, 1, 1), add(2, 3, 2, 2, 2), read(4, 5, [2], [2, 2, 2])],
    () => [add(0, 1, 2, 1, 1), add(2, 3, 2, 2, 2), read(4, 5, [2], [3, 3, 3])],
    'search revisions',
  ],
  [
    'the same sum twice',
    () => [add(0, 3, 2, 1, 1), add(1, 4, 2, 2, 2)],
    () => [add(0, 3, 2, 1, 1), add(1, 4, 2, 1, 2)],
    'search',
  ],
  [
    'dirty read',
    () => [set(0, 1, 0, 10, 1), refused(2, 5, 0, 11, { revision: 1, version: 1 }), read(3, 4, [0], [10, 1, 1])],
    () => [set(0, 1, 0, 10, 1), refused(2, 5, 0, 11, { revision: 1, version: 1 }), read(3, 4, [0], [11, 2, 2])],
    'search revisions',
  ],
  [
    'read of the future',
    () => [read(0, 3, [0], [10, 1, 1]), set(1, 2, 0, 10, 1)],
    () => [read(0, 1, [0], [10, 1, 1]), set(2, 3, 0, 10, 1)],
    'search revisions',
  ],
  [
    'deletion undone',
    () => [set(0, 1, 0, 10, 1), remove(2, 3, 0, 2), read(4, 5, [0], [ABSENT, 0, 2])],
    () => [set(0, 1, 0, 10, 1), remove(2, 3, 0, 2), read(4, 5, [0], [10, 1, 1])],
    'search revisions',
  ],
  [
    'version going back',
    () => [set(0, 1, 0, 10, 1), set(2, 3, 0, 11, 2, 2)],
    () => [set(0, 1, 0, 10, 1), set(2, 3, 0, 11, 2, 1)],
    'versions revisions',
  ],
  [
    'version leaping',
    () => [set(0, 1, 0, 10, 1), set(2, 3, 0, 11, 2, 2)],
    () => [set(0, 1, 0, 10, 1), set(2, 3, 0, 11, 2, 3)],
    'versions revisions',
  ],
  [
    'revision going back',
    () => [set(0, 1, 0, 10, 1), set(2, 3, 1, 11, 2)],
    () => [set(0, 1, 0, 10, 2), set(2, 3, 1, 11, 1)],
    'revisions',
  ],
  [
    'revision given twice',
    () => [set(0, 2, 0, 10, 1), set(1, 3, 1, 11, 2)],
    () => [set(0, 2, 0, 10, 1), set(1, 3, 1, 11, 1)],
    'revisions',
  ],
  [
    'value of another revision',
    () => [set(0, 1, 0, 10, 1), set(2, 9, 0, 11, 2, 2), read(3, 4, [0], [11, 2, 2])],
    () => [set(0, 1, 0, 10, 1), set(2, 9, 0, 11, 2, 2), read(3, 4, [0], [11, 1, 1])],
    'revisions',
  ],
  [
    'read skew',
    () => [
      both(
        0,
        1,
        [
          [5, 10],
          [6, 11],
        ],
        1,
        [1, 1],
      ),
      both(
        2,
        9,
        [
          [5, 12],
          [6, 13],
        ],
        2,
        [2, 2],
      ),
      read(3, 4, [5, 6], [12, 2, 2], [13, 2, 2]),
    ],
    () => [
      both(
        0,
        1,
        [
          [5, 10],
          [6, 11],
        ],
        1,
        [1, 1],
      ),
      both(
        2,
        9,
        [
          [5, 12],
          [6, 13],
        ],
        2,
        [2, 2],
      ),
      read(3, 4, [5, 6], [12, 2, 2], [11, 1, 1]),
    ],
    'search revisions',
  ],
  [
    'long fork',
    () => [
      set(0, 9, 5, 10, 1),
      set(1, 8, 6, 11, 2),
      read(2, 3, [5, 6], [10, 1, 1], NONE),
      read(4, 5, [5, 6], [10, 1, 1], [11, 1, 2]),
    ],
    () => [set(0, 9, 5, 10, 1), set(1, 8, 6, 11, 2), read(2, 3, [5, 6], [10, 1, 1], NONE), read(4, 5, [5, 6], NONE, [11, 1, 2])],
    'search revisions',
  ],
  [
    'of two registers, seen in different orders',
    () => [
      set(0, 9, 0, 10, 1),
      set(1, 8, 1, 11, 2),
      read(2, 3, [0, 1], [10, 1, 1], NONE),
      read(4, 5, [0, 1], [10, 1, 1], [11, 1, 2]),
    ],
    () => [set(0, 9, 0, 10, 1), set(1, 8, 1, 11, 2), read(2, 3, [0, 1], [10, 1, 1], NONE), read(4, 5, [0, 1], NONE, [11, 1, 2])],
    'revisions',
  ],
  [
    'half an atomic operation',
    () => [
      both(
        0,
        9,
        [
          [5, 10],
          [6, 11],
        ],
        1,
        [1, 1],
      ),
      read(1, 2, [5, 6], NONE, NONE),
    ],
    () => [
      both(
        0,
        9,
        [
          [5, 10],
          [6, 11],
        ],
        1,
        [1, 1],
      ),
      read(1, 2, [5, 6], [10, 1, 1], NONE),
    ],
    'search revisions',
  ],
  [
    'check outside of the transaction',
    (s) => [append(s, 0, 1, { 3: [] }, 7, 1, 1), append(s, 2, 5, { 3: [7] }, 8, 2, 2), append(s, 3, 6, { 3: [7, 8] }, 9, 3, 3)],
    (s) => [append(s, 0, 1, { 3: [] }, 7, 1, 1), append(s, 2, 5, { 3: [7] }, 8, 2, 2), append(s, 3, 6, { 3: [7] }, 9, 3, 3)],
    'search lists',
  ],
  [
    'an item twice',
    (s) => [append(s, 0, 1, { 3: [] }, 7, 1, 1), append(s, 2, 3, { 3: [7] }, 8, 2, 2)],
    (s) => [append(s, 0, 1, { 3: [] }, 7, 1, 1), append(s, 2, 3, { 3: [7] }, 7, 2, 2)],
    'lists',
  ],
  [
    'write skew',
    (s) => [
      append(s, 0, 5, { 3: [] }, 7, 1, 1),
      append(s, 1, 6, { 4: [] }, 8, 2, 1),
      read(2, 3, [3, 4], [s.valueOf([7]), 1, 1], NONE),
    ],
    (s) => [
      append(s, 0, 5, { 3: [] }, 7, 1, 1),
      append(s, 1, 6, { 4: [] }, 8, 2, 1),
      read(2, 3, [3, 4], [s.valueOf([7]), 1, 1], NONE),
      read(2, 4, [3, 4], NONE, [s.valueOf([8]), 1, 2]),
    ],
    'search lists revisions',
  ],
  [
    'order of lists against time',
    (s) => [append(s, 0, 1, { 3: [] }, 7, 1, 1), append(s, 2, 3, { 3: [7] }, 8, 2, 2)],
    (s) => [append(s, 2, 3, { 3: [] }, 7, 2, 1), append(s, 0, 1, { 3: [7] }, 8, 1, 2)],
    'search lists revisions',
  ],
  [
    'checks refused though they hold',
    () => [
      set(0, 1, 0, 10, 1),
      operation(2, 3, { checks: [{ key: 0, value: 11 }], writes: [{ key: 0, type: 'set', value: 12 }], outcome: 'refused' }),
    ],
    () => [
      set(0, 1, 0, 10, 1),
      operation(2, 3, { checks: [{ key: 0, value: 10 }], writes: [{ key: 0, type: 'set', value: 12 }], outcome: 'refused' }),
    ],
    'search',
  ],
  [
    'the wrong check is blamed',
    () => [
      set(0, 1, 5, 10, 1),
      operation(2, 3, {
        checks: [
          { key: 5, value: 10 },
          { key: 6, value: 11 },
        ],
        outcome: 'refused',
        failed: [1],
      }),
    ],
    () => [
      set(0, 1, 5, 10, 1),
      operation(2, 3, {
        checks: [
          { key: 5, value: 10 },
          { key: 6, value: 11 },
        ],
        outcome: 'refused',
        failed: [0],
      }),
    ],
    'search',
  ],
  [
    'no answer, and done long after',
    () => [unknown(set(0, 1, 0, 10)), read(2, 3, [0], NONE), set(4, 5, 0, 11, 1), read(6, 7, [0], [10, 2, 2])],
    () => [
      unknown(set(0, 1, 0, 10)),
      read(2, 3, [0], NONE),
      set(4, 5, 0, 11, 1),
      read(6, 7, [0], [10, 2, 2]),
      read(8, 9, [0], [11, 1, 1]),
    ],
    'search revisions',
    { last: 2 },
  ],
  [
    'no answer, and done twice',
    () => [unknown(add(0, 1, 2, 1)), read(2, 3, [2], [1, 1, 1])],
    () => [unknown(add(0, 1, 2, 1)), read(2, 3, [2], [2, 2, 2])],
    'search',
    { last: 1 },
  ],
  ['a commit of nobody', () => [set(0, 1, 0, 10, 1)], () => [set(0, 1, 0, 10, 2)], 'revisions'],
];
