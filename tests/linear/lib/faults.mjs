// What befalls the programs while clients are at work: killed, paused, or both, at moments chosen beforehand.
import { sleep } from '../../maint/lib/store.mjs';

const COMMANDS = [
  ['run'],
  ['compact', '--force', '--quiet'],
  ['backup', '--force', '--quiet', 'backup.db'],
  ['check', '--quiet'],
  ['dump'],
  ['stats'],
];

// Mostly short, so that much happens within; now and then longer than anybody waits for the writer lock.
function pauseMs(rng) {
  return rng() < 0.02 ? 1300 : 1 + rng.below(12) ** 2;
}

// A fate for a program that runs to its end by itself, as execute's begun: often none.  tally counts by kind.
export function fate(rng, tally) {
  const kind = rng();
  const [after, pause] = [rng.below(9) ** 2, pauseMs(rng)];
  return (child) => {
    const timers = [];
    const later = (ms, signal) =>
      timers.push(setTimeout(() => child.kill(signal) && tally[signal === 'SIGSTOP' ? 'paused' : 'killed']++, ms));
    if (kind < 0.25) later(after, 'SIGKILL');
    if (kind > 0.75) {
      later(after, 'SIGSTOP');
      timers.push(setTimeout(() => child.kill('SIGCONT'), after + pause));
    }
    child.on('exit', () => timers.forEach(clearTimeout));
  };
}

export class Faults {
  // Chooses what happens when the clients have begun so many requests; total: how many there will be.
  constructor(cluster, rng, total, { kills, pauses, commands }) {
    Object.assign(this, { cluster, rng, running: [] });
    const events = (n, make) => Array.from({ length: n }, () => ({ at: 1 + rng.below(total), make: make() }));
    this.plan = [
      ...events(kills, () => this.kill(rng.below(2), rng() < 0.3 ? pauseMs(rng) : 0)),
      ...events(pauses, () => this.pause(rng.below(2), pauseMs(rng))),
      ...events(commands, () => this.command(COMMANDS[rng.below(COMMANDS.length)], fate(rng, cluster.tally.maint))),
    ].sort((a, b) => a.at - b.at);
  }

  // A server is killed, perhaps out of a pause, and started again.
  kill(which, pause) {
    return async () => {
      const { cluster } = this;
      if (pause && cluster.signal(which, 'SIGSTOP')) await sleep(pause);
      await cluster.restart(which);
    };
  }

  pause(which, ms) {
    return async () => {
      if (!this.cluster.signal(which, 'SIGSTOP')) return;
      this.cluster.tally.fcgi.paused++;
      await sleep(ms);
      this.cluster.signal(which, 'SIGCONT');
    };
  }

  command(args, begun) {
    return () => this.cluster.maint(args, begun);
  }

  // To be called as each request begins.
  begun(n) {
    while (this.plan[0]?.at <= n) {
      const running = this.plan.shift().make();
      running.catch(() => {}); // over() tells
      this.running.push(running);
    }
  }

  // Resolves when all is over.
  async over() {
    await Promise.all(this.running);
  }
}
