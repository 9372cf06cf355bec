// Keys whose values are lists that only grow: each write is the list it found and one more item, the writer's own number.  So a
// value tells the order of all writes before it, whatever the store says of versions and revisions.
import { Graph } from './graph.mjs';

// What the operations saw and wrote of one key.
class Key {
  constructor(key) {
    this.key = key;
    this.longest = [];
    this.views = []; // {i, list, wrote}: operation i saw this list, or left it
  }

  // Problems: lists that are not the beginnings of one another, items twice, writes that are lost or never took place.
  judge(ops, writers) {
    const problems = [];
    const say = (text) => problems.push(`list ${this.key}: ${text}`);
    if (new Set(this.longest).size !== this.longest.length) say(`an item is there twice: ${this.longest}`);
    for (const { list } of this.views) {
      if (list.some((item, n) => item !== this.longest[n])) say(`${list} is not the beginning of ${this.longest}`);
    }
    for (const item of this.longest) if (!writers.has(item)) say(`item ${item} was never written, or refused`);
    for (const { i, list, wrote } of this.views) {
      if (wrote && ops[i].outcome === 'done' && !this.longest.includes(list.at(-1))) say(`item ${list.at(-1)} is lost`);
    }
    return problems;
  }

  // Write before write, write before who read it, who read before the write that he did not see.
  addEdges(graph, writers) {
    for (let n = 1; n < this.longest.length; n++) {
      graph.add(writers.get(this.longest[n - 1]), writers.get(this.longest[n]), `wrote ${this.key} before`);
    }
    for (const { i, list, wrote } of this.views) {
      if (wrote) continue;
      if (list.length) graph.add(writers.get(list.at(-1)), i, `wrote ${this.key}, read by`);
      if (list.length < this.longest.length)
        graph.add(i, writers.get(this.longest[list.length]), `read ${this.key} before it was written by`);
    }
  }
}

function collect(ops, keys, listOf) {
  const found = new Map(keys.map((key) => [key, new Key(key)]));
  const see = (i, key, value, wrote) => {
    if (!found.has(key)) return;
    const of = found.get(key);
    const list = listOf(value);
    of.views.push({ i, list, wrote });
    // What a write of unknown outcome would have left is there only if somebody saw it.
    if (list.length > of.longest.length && (!wrote || ops[i].outcome === 'done')) of.longest = list;
  };
  for (const [i, op] of ops.entries()) {
    if (op.outcome === 'refused') continue;
    op.reads.forEach((key, n) => see(i, key, op.values[n], false));
    for (const { key, value } of op.writes) see(i, key, value, true);
  }
  for (const of of found.values()) {
    of.views = of.views.filter(({ i, list, wrote }) => !wrote || ops[i].outcome === 'done' || of.longest.includes(list.at(-1)));
  }
  return [...found.values()];
}

// Answers {problems, edges}.  ops: those that touch these keys; keys: which hold lists; listOf(value): the items of one.
export function inspectLists(ops, keys, listOf) {
  const found = collect(ops, keys, listOf);
  const writers = new Map();
  for (const [i, op] of ops.entries()) {
    if (op.outcome === 'refused') continue;
    for (const { key, value } of op.writes) if (keys.includes(key)) writers.set(listOf(value).at(-1), i);
  }
  const problems = found.flatMap((key) => key.judge(ops, writers));
  if (problems.length) return { problems, edges: 0 };
  const graph = new Graph(ops);
  for (const key of found) key.addEdges(graph, writers);
  graph.addRealTime();
  const cycle = graph.cycle();
  if (cycle) problems.push(`lists: a cycle: ${cycle.map(({ op, why }) => `#${op.id} ${why}`).join(' ')} #${cycle[0].op.id}`);
  return { problems, edges: graph.from.length };
}
