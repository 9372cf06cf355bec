// Checks that run in every runtime, a browser's page included.
export class Failed extends Error {}

function show(value) {
  return JSON.stringify(value, (_, v) =>
    typeof v === 'bigint' ? `${v}n` : v instanceof Uint8Array ? `bytes(${[...v]})` : v === undefined ? 'undefined' : v,
  );
}

function same(a, b) {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return a.getTime() === b.getTime();
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => name in b && same(a[name], b[name]));
}

export function ok(value, what = 'a true value') {
  if (!value) throw new Failed(`expected ${what}, got ${show(value)}`);
}

export function equal(got, want, what = '') {
  if (!same(got, want)) throw new Failed(`${what ? `${what}: ` : ''}got ${show(got)}, wanted ${show(want)}`);
}

// Whether promise fails with an error that has these members (a RegExp matches a string).
export async function fails(promise, members) {
  let error;
  try {
    const value = await promise;
    throw new Failed(`expected a failure, got ${show(value)}`);
  } catch (caught) {
    if (caught instanceof Failed) throw caught;
    error = caught;
  }
  for (const [name, want] of Object.entries(members)) {
    const fits = want instanceof RegExp ? want.test(error[name]) : same(error[name], want);
    if (!fits) throw new Failed(`error.${name} is ${show(error[name])}, wanted ${want instanceof RegExp ? want : show(want)} (${error})`);
  }
  return error;
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, ms = 10_000) {
  for (const end = Date.now() + ms; ; await pause(5)) {
    if (await what()) return;
    if (Date.now() > end) throw new Failed(`it never happened: ${what}`);
  }
}
