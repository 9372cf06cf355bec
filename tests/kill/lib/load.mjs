// Workers that change the store until it is killed under them, and tell the model what they know.
import { sleep } from '../../maint/lib/store.mjs';

const MISS = Symbol('no answer');

// A message's lease: short, so that what a killed consumer held comes back within the test.
const LEASE_MS = 400;

// Workers, and those of them whom kvs.fcgi serves; the others' requests are a kvs.cgi each.
const WORKERS = 6;
const SERVED = 4;

// No round takes longer, whatever came of it.
const ROUND_MS = 5000;

// One worker.  call(endpoint, body) answers the body of a 200, MISS where there was no answer, null where it was refused.
class Worker {
  constructor(name, model, rng, call) {
    Object.assign(this, { name, model, rng, call });
  }

  async set(bucket, key) {
    const r = this.model.register(bucket, key);
    if (r.doubt !== undefined) return 0; // until it is known what came of the last one
    const value = r.values.length + 1;
    r.doubt = value;
    const answer = await this.call('/kv/set', { bucket, key, value });
    if (answer === MISS) return this.model.inDoubt++;
    delete r.doubt;
    if (!answer) return 0;
    this.model.took(bucket, answer.revision);
    r.values.push(value);
    r.revision = answer.revision;
  }

  async increment() {
    this.model.count.doubt++;
    const answer = await this.call('/kv/increment', { key: ['count'] });
    if (answer === MISS) return this.model.inDoubt++;
    this.model.count.doubt--;
    if (!answer) return 0;
    this.model.took('default', answer.revision);
    this.model.count.sure++;
  }

  async atomic() {
    const pair = ['a', 'b'].map((end) => this.model.register('default', ['pair', this.name, end]));
    if (pair[0].doubt !== undefined) return 0;
    const n = pair[0].values.length + 1;
    const payload = `p-${this.name}-${n}`;
    for (const r of pair) r.doubt = n;
    this.model.messages.set(payload, 'maybe there');
    const answer = await this.call('/kv/atomic', {
      mutations: [...pair.map((r) => ({ type: 'set', key: r.key, value: n })), { type: 'increment', key: ['sum'] }],
      enqueues: [{ payload, options: { topic: 'q', maxAttempts: 1e6 } }],
    });
    if (answer === MISS) return this.model.inDoubt++;
    for (const r of pair) delete r.doubt;
    // Others may have consumed it before the answer was here.
    if (!answer) return this.model.messages.delete(payload);
    this.model.took('default', answer.revision);
    this.model.fromPair(payload);
    for (const r of pair) {
      r.values.push(n);
      r.revision = answer.revision;
    }
  }

  async enqueue() {
    const payload = `e-${this.name}-${(this.sent = (this.sent ?? 0) + 1)}-${this.rng.below(1e6)}`;
    this.model.messages.set(payload, 'maybe there');
    const answer = await this.call('/queue/enqueue', { topic: 'q', payload, maxAttempts: 1e6 });
    if (answer === MISS) return this.model.inDoubt++;
    if (!answer) return this.model.messages.delete(payload);
    this.model.acknowledged++;
    this.model.fromPair(payload);
  }

  async consume() {
    const answer = await this.call('/queue/dequeue', { topic: 'q', limit: 1 + this.rng.below(3), leaseMs: LEASE_MS });
    for (const m of answer && answer !== MISS ? answer.messages : []) {
      if (!this.model.messages.has(m.payload)) throw new Error(`message ${m.payload} came though it was acknowledged`);
      const was = this.model.messages.get(m.payload);
      this.model.messages.set(m.payload, 'maybe gone');
      const acked = await this.call('/queue/ack', { id: m.id, lease: m.lease });
      if (acked === MISS) return this.model.inDoubt++;
      if (acked?.ok) {
        this.model.acknowledged++;
        this.model.gone(m.payload);
      } else if (this.model.messages.has(m.payload)) {
        // The lease was over; perhaps another worker's acknowledgement is under way.
        this.model.messages.set(m.payload, was === 'maybe gone' ? was : 'there');
      }
    }
  }

  // One operation, picked at random.
  step() {
    const kind = this.rng.below(6);
    if (kind === 0) return this.set('default', ['s', this.name, this.rng.below(4)]);
    if (kind === 1) return this.set('kept', ['h', this.name]);
    if (kind === 2) return this.increment();
    if (kind === 3) return this.atomic();
    return kind === 4 ? this.enqueue() : this.consume();
  }
}

// For execute: kills the child after ms, if it is still there.  killed() tells whether.
function killing(ms) {
  let child;
  const begun = (started) => {
    child = started;
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    child.on('close', () => clearTimeout(timer));
  };
  return { begun, killed: () => child.signalCode === 'SIGKILL' };
}

function cgiCall(store, rng, tally) {
  return async (endpoint, body) => {
    const { begun, killed } = killing(rng() < 0.5 ? rng.below(90) : 60_000);
    const answer = await store.cgi(endpoint, body, { begun });
    if (killed()) tally.cgi++;
    if (!answer) return MISS;
    if (answer.status === 503) return null;
    if (answer.status !== 200) throw new Error(`${endpoint}: ${answer.status} ${answer.text}`);
    return answer.json;
  };
}

function fcgiCall(store) {
  return async (endpoint, body) => {
    let answer;
    try {
      answer = await store.request(endpoint, body);
    } catch {
      return MISS; // the connection was refused or cut
    }
    if (answer.status === 503) return null;
    if (answer.status !== 200) throw new Error(`${endpoint}: ${answer.status} ${answer.text}`);
    return answer.json;
  };
}

async function maintain(store, rng, tally, on) {
  const commands = [['run'], ['check', '--quiet'], ['backup', '--force', 'b.db'], ['compact', '--quiet'], ['run']];
  for (let left = 1 + rng.below(2); on() && left > 0; left--) {
    const { begun, killed } = killing(rng.below(120));
    const { err } = await store.maint(commands[rng.below(commands.length)], { begun });
    store.stderr += err;
    if (killed()) tally.maint++;
    await sleep(rng.below(20));
  }
}

// Load on a store that is being served by child, which is killed at a moment after a number of operations: the same work on a
// slow machine as on a fast one.  Of the other programs, to start which costs more than all else, a few run meanwhile.
// Workers of names that were given before go on where they were.
export async function round(store, child, model, workers, rng, tally) {
  const enough = model.acknowledged + 5 + rng.below(50);
  const [least, more] = [30 + rng.below(120), rng.below(25)];
  let alive = true;
  let done;
  const busy = new Promise((resolve) => (done = resolve));
  const work = async (w, i) => {
    let left = i < SERVED ? Infinity : 1 + rng.below(2);
    for (; alive && left > 0; left--) {
      if (i >= SERVED) await sleep(rng.below(60));
      await w.step();
      if (model.acknowledged >= enough) done();
    }
  };
  for (let i = workers.length; i < WORKERS; i++) workers.push(new Worker(i, model, rng, null));
  for (const [i, w] of workers.entries()) w.call = i < SERVED ? fcgiCall(store) : cgiCall(store, rng, tally);
  const all = Promise.all([...workers.map(work), maintain(store, rng, tally, () => alive)]);
  all.catch(() => done());
  await sleep(least);
  await Promise.race([busy, sleep(ROUND_MS)]);
  await sleep(more);
  child.kill('SIGKILL');
  tally.fcgi++;
  alive = false;
  await child.closed;
  await all;
}
