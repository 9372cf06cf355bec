// Loads from wrk, in turn, and what they amount to.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { find, run } from './process.mjs';

const LUA = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../lua');

// One load: { url, mount, script, args, connections }.  Requests a second and microseconds of latency.
export async function wrk(load, seconds) {
  const program = find('wrk');
  if (program === undefined) throw new Error('wrk is not installed');
  const args = ['-t1', `-c${load.connections}`, `-d${seconds}s`, '-s', path.join(LUA, `${load.script}.lua`), load.url, '--'];
  const out = await run(program, [...args, load.mount, ...(load.args ?? []).map(String)], { LUA_PATH: `${LUA}/?.lua` });
  const result = JSON.parse(out.trim().split('\n').at(-1));
  const wrong = result.bad + result.errors;
  // wrk counts what it cuts off at the end as an error now and then.
  if (wrong > 5 && wrong > result.requests / 1000) {
    throw new Error(`${load.script} at ${load.url}${load.mount}: ${result.bad} bad answers, ${result.errors} failures of ${result.requests}`);
  }
  return { rate: (result.requests * 1e6) / result.us, ...result };
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Ratios of two series, round by round: the median, the lowest and the highest.
export function ratioOf(a, b) {
  const ratios = a.map((value, i) => value / b[i]);
  return { median: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}

// Measures loads in turn, A B A B ..., and gives each one's rates.  before runs ahead of each measurement.
export async function inTurn(loads, options, before = async () => {}) {
  const rates = loads.map(() => []);
  const latencies = loads.map(() => []);
  for (const load of loads) await wrk(load, 1);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [i, load] of loads.entries()) {
      await before(load);
      const result = await wrk(load, options.seconds);
      rates[i].push(result.rate);
      latencies[i].push(result.p99);
    }
  }
  return { rates, latencies };
}

export const rate = (rates) => `${median(rates).toFixed(0)}/s`;
const ms = (us) => `${(median(us) / 1000).toFixed(1)} ms`;

// Measures two loads in turn: what the first has of the second's rate, and both in words.
export async function compare(loads, options) {
  const { rates, latencies } = await inTurn(loads, options);
  const { median: value, low, high } = ratioOf(rates[0], rates[1]);
  const note = `${rate(rates[0])} to ${rate(rates[1])}; p99 ${ms(latencies[0])} to ${ms(latencies[1])}`;
  return { value, low, high, note };
}

// Lines "name value..." of the C programs.
export function parse(text) {
  const results = {};
  for (const line of text.trim().split('\n')) {
    const [name, ...values] = line.split(' ');
    results[name] = values.map(Number);
  }
  return results;
}
