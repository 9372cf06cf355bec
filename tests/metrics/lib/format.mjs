// The text format of Prometheus, read more strictly than Prometheus does: everything has help and a type, stands in one place,
// and a histogram adds up.
import assert from 'node:assert/strict';

const SAMPLE = /^([a-z_]+)(?:\{(.*)\})? (-?[0-9]+(?:\.[0-9]+)?)$/;
const LABEL = /([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const PARTS = ['_bucket', '_sum', '_count'];

function readLabels(text) {
  const labels = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const found = LABEL.exec(text);
    assert.ok(found, `labels ${text} at ${at}`);
    const [, name, value] = found;
    assert.ok(!(name in labels), text);
    labels[name] = value.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
  }
  return labels;
}

// The series that a sample belongs to.
function familyOf(name, current, type) {
  if (type !== 'histogram') return name;
  const part = PARTS.find((one) => name === current + one);
  assert.ok(part, `${name} below ${current}`);
  return current;
}

// The buckets of each histogram grow up to its count, and come with a sum.
function checkHistogram(name, samples) {
  const all = new Map();
  for (const { name: full, labels, value } of samples) {
    const { le, ...rest } = labels;
    const key = JSON.stringify(rest);
    if (!all.has(key)) all.set(key, { buckets: [] });
    if (full.endsWith('_bucket')) all.get(key).buckets.push([le, value]);
    else all.get(key)[full.slice(name.length + 1)] = value;
  }
  for (const [key, { buckets, sum, count }] of all) {
    const where = `${name}${key}`;
    assert.ok(buckets.length > 3 && sum >= 0 && Number.isInteger(count), where);
    assert.deepEqual(buckets.at(-1), ['+Inf', count], where);
    buckets.slice(1).forEach(([le, value], i) => {
      assert.ok(le === '+Inf' || Number(le) > Number(buckets[i][0]), `${where}: ${le}`);
      assert.ok(value >= buckets[i][1], `${where}: ${le}`);
    });
    // A value lies above the step before its own.
    const least = buckets.slice(1).reduce((all_, [, n], i) => all_ + (n - buckets[i][1]) * Number(buckets[i][0]), 0);
    assert.ok(sum >= least, `${where}: a sum of ${sum}, at least ${least}`);
  }
}

// The text as {name: {type, samples: [{name, labels, value}]}}; throws where it is not well-formed.
export function readMetrics(text) {
  const found = {};
  let current = null;
  assert.ok(text.endsWith('\n'));
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment;
      if (kind === 'HELP') {
        assert.ok(!(name in found), `${name} stands in two places`);
        found[name] = { samples: [] };
        current = name;
      } else {
        assert.equal(name, current);
        assert.match(rest, /^(counter|gauge|histogram)$/);
        found[name].type = rest;
      }
      continue;
    }
    const sample = SAMPLE.exec(line);
    assert.ok(sample, line);
    assert.equal(familyOf(sample[1], current, found[current].type), current, 'a sample below another name');
    assert.equal(found[current].type === 'counter', current.endsWith('_total'), current);
    found[current].samples.push({ name: sample[1], labels: readLabels(sample[2] ?? ''), value: Number(sample[3]) });
  }
  const every = Object.values(found).flatMap(({ samples }) => samples);
  const seen = every.map((one) => one.name + JSON.stringify(one.labels));
  assert.equal(new Set(seen).size, seen.length, 'a sample twice');
  for (const [name, { type, samples }] of Object.entries(found)) if (type === 'histogram') checkHistogram(name, samples);
  return found;
}
