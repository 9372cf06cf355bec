// How long something took, less the time that this very process had to wait for a processor meanwhile: what is promised within
// seconds is promised on a machine that has some to spare.
import { performance } from 'node:perf_hooks';

const EVERY = 20;
const STARVED = 500; // in all, of something that took
const LONG = 3000; // or more

export class Patience {
  constructor() {
    this.begun = performance.now();
    this.starved = 0;
    let last = this.begun;
    this.timer = setInterval(() => {
      const now = performance.now();
      this.starved += Math.max(0, now - last - EVERY);
      last = now;
    }, EVERY);
  }

  // Milliseconds so far; it then counts no more.
  end() {
    clearInterval(this.timer);
    this.took = performance.now() - this.begun;
    return this.took - this.starved;
  }

  // Whether this process, and so its clients too, had so little of a processor that a stop's seconds were not theirs: what
  // then came of it says nothing.
  get isStarved() {
    return this.starved > STARVED && this.took >= LONG;
  }
}
