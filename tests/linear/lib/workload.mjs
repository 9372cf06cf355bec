// Runs clients side by side and keeps the history they leave.
import { Client } from './client.mjs';
import { ABSENT } from './model.mjs';
import * as request from './requests.mjs';

export class Workload {
  // space: the keys.  call(client, endpoint, body) answers {status, json}, {lost: true} where the answer was, or {unsent: true}.
  // begun(n) is called as request n is about to be sent.
  constructor(space, bucket, call, begun = () => {}) {
    Object.assign(this, { space, bucket, call, begun });
    this.now = 0; // counts invocations and returns, so that each has a moment of its own
    this.count = 0;
    this.ops = [];
    this.lost = 0;
    this.nothing = 0; // requests never sent, or refused by the server as a whole (503): nothing was done
  }

  // One client's requests, one after the other, `most` of them, until all clients together have made `total`.
  async run(name, rng, total, most = Infinity) {
    const client = new Client(name, this.space, rng);
    for (let made = 0; made < most && this.count < total; made++) {
      const n = ++this.count;
      this.begun(n);
      const op = await this.send(name, n, client.next(n));
      if (op) client.remember(op);
    }
  }

  // Resolves to the operation once it has been answered; to null where it was not.
  async send(name, n, { endpoint, body, checks, reads, writes, take }) {
    const op = {
      id: n,
      client: name,
      endpoint,
      checks,
      reads,
      writes,
      outcome: 'unknown',
      invoked: this.now++,
      returned: Infinity,
    };
    const answer = await this.call(name, endpoint, { ...body, bucket: this.bucket });
    const returned = this.now++;
    if (answer.unsent || answer.status === 503) {
      this.nothing++;
      return null;
    }
    if (answer.lost) {
      this.lost++;
      if (writes.length) this.ops.push(op);
      return null;
    }
    if (answer.status !== 200 && answer.status !== 409)
      throw new Error(`${endpoint} ${JSON.stringify(body)}: ${answer.status} ${JSON.stringify(answer.json)}`);
    op.returned = returned;
    take(op, answer.status, answer.json);
    this.ops.push(op);
    return op;
  }

  // One more read of everything, when all is quiet.
  async last() {
    for (let tries = 0; tries < 100; tries++) {
      if (await this.send('last', ++this.count, request.getMany(this.space, this.space.all))) return;
    }
    throw new Error('nothing can be read any more');
  }
}

// Entries as the store answers them, of a history's keys, as revisions.mjs takes them.
export function historyOf(space, entries) {
  return entries.map(({ key, revision, operation, value, version }) => ({
    key: space.keyOf(key),
    revision,
    value: operation ? ABSENT : space.valueOf(value),
    version: operation ? 0 : version,
  }));
}
