// A graph of which operation must come before which, for whatever reason, and the search for a cycle in it.  A history has an
// order only if there is none.

export class Graph {
  // ops: the operations, each with invoked and returned; a node is an operation's index, or a point in time behind them.
  constructor(ops) {
    this.ops = ops;
    this.from = [];
    this.to = [];
    this.why = [];
    this.size = ops.length;
  }

  add(from, to, why) {
    if (from === to) return;
    this.from.push(from);
    this.to.push(to);
    this.why.push(why);
  }

  // What had returned before another was invoked comes before it.  A point in time for each return keeps the edges few.
  addRealTime() {
    const index = this.ops.map((_, i) => i);
    const returned = index
      .filter((i) => this.ops[i].returned !== Infinity)
      .sort((a, b) => this.ops[a].returned - this.ops[b].returned);
    const invoked = index.sort((a, b) => this.ops[a].invoked - this.ops[b].invoked);
    const base = this.size;
    this.size += returned.length;
    for (const [n, i] of returned.entries()) {
      this.add(i, base + n, 'returned');
      if (n) this.add(base + n - 1, base + n, 'time');
    }
    let n = 0;
    for (const i of invoked) {
      while (n < returned.length && this.ops[returned[n]].returned < this.ops[i].invoked) n++;
      if (n) this.add(base + n - 1, i, 'invoked');
    }
  }

  // Edges by node: those of node i are order[start[i]…start[i + 1]].
  adjacency() {
    const start = new Int32Array(this.size + 1);
    for (const node of this.from) start[node + 1]++;
    for (let i = 0; i < this.size; i++) start[i + 1] += start[i];
    const order = new Int32Array(this.from.length);
    const next = start.slice();
    for (let e = 0; e < this.from.length; e++) order[next[this.from[e]]++] = e;
    return { start, order };
  }

  // A short cycle as [{op, why}], why being the reason for which the next one comes later; null where there is none.
  cycle() {
    const edges = this.adjacency();
    const members = stronglyConnected(this, edges);
    if (!members) return null;
    let best = null;
    for (const root of members.slice(0, 50)) {
      const found = this.shortest(root, edges);
      if (found && (!best || found.length < best.length)) best = found;
    }
    return best.map((e) => ({ op: this.ops[this.from[e]], why: this.why[e] })).filter(({ op }) => op);
  }

  // The shortest way from a node back to itself, as edges.
  shortest(root, { start, order }) {
    const came = new Map();
    const queue = [root];
    for (const node of queue) {
      for (let k = start[node]; k < start[node + 1]; k++) {
        const e = order[k];
        if (this.to[e] === root) return this.wayBack(came, node, [e]);
        if (came.has(this.to[e])) continue;
        came.set(this.to[e], e);
        queue.push(this.to[e]);
      }
    }
    return null;
  }

  wayBack(came, from, path) {
    for (let node = from; came.has(node); node = this.from[came.get(node)]) path.unshift(came.get(node));
    return path;
  }
}

// Tarjan's algorithm without recursion, up to the first component of more than one node; null where there is none.
function stronglyConnected(graph, { start, order }) {
  const index = new Int32Array(graph.size).fill(-1);
  const low = new Int32Array(graph.size);
  const next = start.slice();
  const open = new Uint8Array(graph.size);
  const stack = [];
  const path = [];
  let count = 0;
  const enter = (node) => {
    index[node] = low[node] = count++;
    open[node] = 1;
    stack.push(node);
    path.push(node);
  };
  for (let root = 0; root < graph.size; root++) {
    if (index[root] < 0) enter(root);
    while (path.length) {
      const node = path.at(-1);
      if (next[node] < start[node + 1]) {
        const to = graph.to[order[next[node]++]];
        if (index[to] < 0) enter(to);
        else if (open[to]) low[node] = Math.min(low[node], index[to]);
        continue;
      }
      path.pop();
      if (path.length) low[path.at(-1)] = Math.min(low[path.at(-1)], low[node]);
      if (low[node] !== index[node]) continue;
      const component = stack.splice(stack.lastIndexOf(node));
      if (component.length > 1) return component;
      open[node] = 0;
    }
  }
  return null;
}
