// Everything that is asked of a history.
import { inspectLists } from './lists.mjs';
import { Model } from './model.mjs';
import { inspectRevisions } from './revisions.mjs';
import { search } from './search.mjs';

// What an operation did to the keys of one group; null where it did nothing to them.
function within(op, group) {
  const mine = ({ key }) => group.keys.includes(key);
  const reads = op.reads.filter((key) => group.keys.includes(key));
  if (!reads.length && !op.checks.some(mine) && !op.writes.some(mine)) return null;
  if (reads.length === op.reads.length) return op;
  const at = reads.map((key) => op.reads.indexOf(key));
  return {
    ...op,
    reads,
    values: at.map((i) => op.values[i]),
    versions: at.map((i) => op.versions[i]),
    revisions: at.map((i) => op.revisions[i]),
  };
}

// For messages.
export function show(op) {
  const {
    id,
    client,
    endpoint,
    invoked,
    returned,
    outcome,
    checks,
    reads,
    writes,
    values,
    versions,
    revisions,
    results,
    commit,
    failed,
    conflict,
  } = op;
  const rest = { checks, reads, writes, values, versions, revisions, results, commit, failed, conflict };
  const shown = Object.entries(rest).filter(([, value]) => value !== undefined && value?.length !== 0);
  return `#${id} client ${client} ${endpoint} ${outcome} ${invoked}…${returned} ${JSON.stringify(Object.fromEntries(shown))}`;
}

function explain(group, model, found, what) {
  const next = found.next.slice(0, 8).map((op) => `\n    ${show(op)}`);
  return `${group.kind} ${group.keys}, ${what}: ${found.why}; at ${model.describe(found.state)} none of these can be next:${next.join('')}`;
}

// One search that believes only values and outcomes, and one that also wants the versions that it has counted itself.
function searchGroup(group, ops, limit, report) {
  for (const versions of [false, true]) {
    const model = new Model(group.keys, { versions });
    const found = search(ops, model, limit);
    report.configurations += found.configurations;
    if (!found.ok)
      report.problems.push({
        by: versions ? 'versions' : 'search',
        text: explain(group, model, found, versions ? 'with versions' : 'values alone'),
      });
  }
}

// Answers {problems: [{by, text}], configurations, edges}.  history: {space, ops} and what revisions.mjs needs.  A problem is found
// by 'search', 'versions', 'lists' or 'revisions'.
export function checkHistory(history, { limit } = {}) {
  const { space, ops } = history;
  const report = { problems: [], configurations: 0, edges: 0 };
  const add = (by, { problems, edges }) => {
    report.edges += edges;
    report.problems.push(...problems.map((text) => ({ by, text })));
  };
  for (const group of space.groups) {
    const mine = ops.map((op) => within(op, group)).filter((op) => op);
    searchGroup(group, mine, limit, report);
    if (group.kind === 'list')
      add(
        'lists',
        inspectLists(mine, group.keys, (value) => space.listOf(value)),
      );
  }
  add('revisions', inspectRevisions(history));
  return report;
}
