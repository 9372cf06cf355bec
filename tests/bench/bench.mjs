// tests/bench/run [--quick] [--write] [ROW…]: measures kvs beside the limit that its web server sets.
//
//   --quick    a second each and small stores: shows that everything runs, not how fast
//   --write    puts the table into doc/performance.md
//   --rounds N, --seconds N   alternations, and seconds of each measurement
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { line, table, verdict, write } from './lib/report.mjs';
import { ROWS } from './lib/rows.mjs';
import { Stack } from './lib/stack.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

const FULL = { rounds: 7, seconds: 3, keys: 10_000, manyKeys: 10_000_000, manyMessages: 1_000_000, expired: 1_000_000,
  requests: 1_000_000, logSeconds: 20 };
const QUICK = { quick: true, rounds: 1, seconds: 1, keys: 1000, manyKeys: 20_000, manyMessages: 2000, expired: 2000, requests: 2000,
  logSeconds: 2 };

function usage(message) {
  process.stderr.write(`bench: ${message}\nrows: ${Object.keys(ROWS).join(' ')}\n`);
  process.exit(2);
}

function parseArguments(args) {
  const options = { ...FULL };
  const names = [];
  for (let i = 0; i < args.length; i += 1) {
    if (args[i] === '--quick') Object.assign(options, QUICK);
    else if (args[i] === '--tap') options.tap = true;
    else if (args[i] === '--write') options.write = true;
    else if (args[i] === '--rounds' || args[i] === '--seconds') options[args[i].slice(2)] = Number(args[(i += 1)]);
    else if (args[i] in ROWS) names.push(args[i]);
    else usage(`${args[i]}: no such option or row`);
  }
  return { options, names: names.length > 0 ? names : Object.keys(ROWS) };
}

// The machine, in one line.
function machine() {
  const sqlite = execFileSync('sh', ['-c', 'pkg-config --modversion sqlite3 || echo ?'], { encoding: 'utf8' }).trim();
  const cpu = os.cpus();
  const date = new Date().toISOString().slice(0, 10);
  const kernel = os.release().split('.').slice(0, 2).join('.');
  return `Measured ${date} on ${cpu.length} cores (${cpu[0].model}), Linux ${kernel}, SQLite ${sqlite}; ` +
    `--rounds ${options.rounds} --seconds ${options.seconds}.`;
}

const { options, names } = parseArguments(process.argv.slice(2));
if (options.quick) process.env.BENCH_QUICK = '1';
const stack = new Stack(process.env.KVS_BUILD ?? ROOT);
const results = [];
let failed = 0;
for (const name of names) {
  try {
    const rows = await ROWS[name](stack, options);
    results.push(...rows);
    for (const row of rows) if (!options.tap) process.stdout.write(`${line(row)} ${verdict(row)}\n`);
    if (options.tap) process.stdout.write(`ok ${names.indexOf(name) + 1} - ${name} runs\n`);
  } catch (error) {
    failed += 1;
    await stack.end();
    if (options.tap) process.stdout.write(`not ok ${names.indexOf(name) + 1} - ${name} runs\n`);
    process.stderr.write(`${name}: ${error.stack}\n`);
  }
}
if (options.tap) process.stdout.write(`1..${names.length}\n`);
else process.stdout.write(`\n${machine()}\n\n${table(results)}\n`);
if (options.write) {
  const file = path.join(ROOT, 'doc/performance.md');
  if (fs.existsSync(file)) write(file, results, machine());
}
process.exit(failed > 0 ? 1 : 0);
