// The checkers themselves: on histories made by hand, good ones and bad ones that differ in one answer; against all orders tried one
// by one; and on histories of a store that has no fault, or one of fourteen kinds.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { random } from '../lib/random.mjs';
import { CASES, SIZES, compare, read, remove, set, unknown } from './lib/cases.mjs';
import { checkHistory } from './lib/check.mjs';
import { FAULTS, fakeHistory } from './lib/fake.mjs';
import { Model } from './lib/model.mjs';
import { search } from './lib/search.mjs';
import { Space } from './lib/space.mjs';

const seed = Number(process.env.KVS_SEED ?? 20261128);
const many = process.env.KVS_LONG ? 5 : 1;

function problemsOf(ops, { last, entries = null } = {}) {
  const space = new Space('t', SIZES);
  const made = ops(space).map((op, i) => ({ id: i, ...op }));
  const highest = Math.max(0, ...made.map((op) => op.commit ?? 0));
  return checkHistory({ space, ops: made, floor: 0, last: last ?? highest, entries }).problems;
}

describe('histories made by hand', () => {
  for (const [name, good, bad, by, options] of CASES) {
    it(`${name} is found, and its like without it is taken`, () => {
      assert.deepEqual(problemsOf(good, options), []);
      const found = new Set(problemsOf(bad, options).map((problem) => problem.by));
      for (const who of by.split(' ')) assert.ok(found.has(who), `${who} finds it; ${[...found]} did`);
    });
  }

  it('what a bucket keeps is compared with what was answered', () => {
    const ops = () => [set(0, 1, 0, 10, 1), set(2, 3, 0, 11, 2, 2)];
    const kept = [
      { key: 0, revision: 1, value: 10, version: 1 },
      { key: 0, revision: 2, value: 11, version: 2 },
    ];
    assert.deepEqual(problemsOf(ops, { entries: kept }), []);
    assert.notDeepEqual(problemsOf(ops, { entries: kept.slice(1) }), [], 'one lacks');
    assert.notDeepEqual(
      problemsOf(ops, { entries: [...kept, { key: 0, revision: 3, value: 12, version: 3 }], last: 3 }),
      [],
      "one is nobody's",
    );
    assert.notDeepEqual(problemsOf(ops, { entries: [kept[0], { ...kept[1], value: 13 }] }), [], 'one has another value');
  });
});

// Every order of every choice of the operations without an answer, one by one.
function explainable(ops, model, state, done) {
  if (ops.every((op, i) => done[i] || op.returned === Infinity)) return true;
  return ops.some((op, i) => {
    if (done[i] || ops.some((other, j) => !done[j] && other.returned < op.invoked)) return false;
    const to = model.step(state, op);
    return to >= 0 && explainable(ops, model, to, done.with(i, true));
  });
}

// A few operations on one register with answers at random, most of which are impossible together.
function guess(rng) {
  return Array.from({ length: 2 + rng.below(5) }, () => {
    const at = rng.below(12) + rng();
    const until = at + 0.5 + rng.below(6);
    const value = rng.below(3);
    const kind = rng.below(5);
    const op =
      kind < 2
        ? read(at, until, [0], [value - 1, 0, 0])
        : kind === 2
          ? set(at, until, 0, value)
          : kind === 3
            ? compare(at, until, 0, value, rng.below(3))
            : remove(at, until, 0);
    if (kind === 3 && rng() < 0.4) return { ...op, outcome: 'refused' };
    if (kind === 4) op.results = [{ existed: rng() < 0.7 }];
    return kind > 1 && rng() < 0.25 ? unknown(op) : op;
  });
}

it(`the search agrees with trying every order, seed ${seed}`, (t) => {
  const rng = random(seed);
  const count = { true: 0, false: 0 };
  for (let n = 0; n < 5000 * many; n++) {
    const ops = guess(rng);
    const model = new Model([0]);
    const want = explainable(ops, model, model.start, Array(ops.length).fill(false));
    assert.equal(search(ops, model).ok, want, JSON.stringify(ops));
    count[want]++;
  }
  t.diagnostic(`${count.true} with an order, ${count.false} without`);
  assert.ok(Math.min(count.true, count.false) > 500 * many);
});

// How many of some histories on a store with a fault are found out, and by whom.
async function foundOut(fault, runs) {
  const by = {};
  const sum = { runs, suffered: 0, found: 0 };
  for (let n = 0; n < runs; n++) {
    const history = await fakeHistory({ seed: seed + n, fault, kept: n % 2 === 1 });
    const { problems } = checkHistory(history);
    if (history.suffered) sum.suffered++;
    if (problems.length) sum.found++;
    for (const who of new Set(problems.map((problem) => problem.by))) by[who] = (by[who] ?? 0) + 1;
  }
  return {
    ...sum,
    by: Object.entries(by)
      .map(([who, n]) => `${who} ${n}`)
      .join(', '),
  };
}

describe('histories of a simulated store', () => {
  it(`without a fault all are taken, seed ${seed}`, async () => {
    assert.equal((await foundOut(undefined, 30 * many)).found, 0);
  });

  for (const [fault, what] of Object.entries(FAULTS)) {
    // A fault now and then happens to change nothing that anybody sees.
    it(`${fault} (${what}) is found out, seed ${seed}`, async (t) => {
      const { runs, suffered, found, by } = await foundOut(fault, 8 * many);
      t.diagnostic(`of ${runs} histories ${suffered} suffered it, ${found} were found out (${by})`);
      assert.ok(found > 0 && found >= suffered / 3);
    });
  }
});
