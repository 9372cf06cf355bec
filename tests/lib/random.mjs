// A seeded generator (mulberry32), so that a run's choices can be repeated: a function that answers a number from 0 to 1, and
// next.below(n), an integer from 0 below n.
export function random(seed) {
  let a = seed >>> 0;
  const next = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  next.below = (n) => Math.floor(next() * n);
  return next;
}
