// The rows of the table.  Each takes the stack and the options and gives results:
// { name, value, low, high, floor, most, unit, note }.
import fs from 'node:fs';
import path from 'node:path';

import { compare, inTurn, median, parse, rate, ratioOf, wrk } from './measure.mjs';
import { PEERS } from './peers.mjs';
import { run, work } from './process.mjs';
import { ANSWERS } from './stack.mjs';

// kvs and the constant, measured in turn.
async function against(stack, options, row) {
  const db = stack.newStore();
  await stack.core('load', db, options.keys);
  if (row.messages) await stack.core('queue', db, row.messages * options.rounds * (options.seconds + 1));
  // nginx holds on to a connection for each of its clients, and libfcgi's loop holds a thread for each connection.
  const kvs = await stack.kvs(db, 8);
  const constant = await stack.constant(row.answer, row.server === 'nginx' ? Math.max(8, row.connections) : 8);
  const url = await stack[row.server]({ '/kvs': kvs.socket, '/one': constant.socket });
  const common = { url, script: row.script, connections: row.connections };
  const loads = [
    { ...common, mount: '/kvs', args: row.args ?? [options.keys] },
    { ...common, mount: '/one', args: row.constantArgs ?? row.args ?? [options.keys] },
  ];
  const result = await compare(loads, options);
  await stack.end();
  return [{ name: row.name, floor: row.floor, ...result }];
}

const behind = (row) => (stack, options) => against(stack, options, row);

// A CGI program each time, linked as kvs.cgi is.
async function cgi(stack, options) {
  const db = stack.newStore();
  await stack.core('load', db, options.keys);
  for (const name of ['kvs.cgi', 'constant.cgi']) {
    fs.copyFileSync(stack.program(name === 'kvs.cgi' ? 'cgi/kvs.cgi' : 'tests/bench/constant_cgi'), work(name));
    fs.chmodSync(work(name), 0o755);
  }
  stack.configuration(work('kvs.conf'), db); // beside the program, where it looks first
  const url = await stack.lighttpdCgi({ '/kvs': work('kvs.cgi'), '/one': work('constant.cgi') }, { BENCH_ANSWER: ANSWERS.get });
  const common = { url, script: 'get', connections: 4, args: [options.keys] };
  const result = await compare(['/kvs', '/one'].map((mount) => ({ ...common, mount })), options);
  await stack.end();
  return [{ name: 'get over CGI, lighttpd, 4 connections', floor: 0.6, ...result }];
}

async function getMany(stack, options) {
  const db = stack.newStore();
  await stack.core('load', db, options.keys);
  const kvs = await stack.kvs(db, 8);
  const url = await stack.lighttpd({ '/kvs': kvs.socket });
  const common = { url, mount: '/kvs', connections: 16 };
  const loads = [
    { ...common, script: 'get-many', args: [options.keys, 100] },
    { ...common, script: 'get', args: [options.keys] },
  ];
  const { rates } = await inTurn(loads, options);
  await stack.end();
  const keys = rates[0].map((n) => n * 100);
  const { median: value, low, high } = ratioOf(keys, rates[1]);
  const note = `${rate(keys)} to ${rate(rates[1])} keys`;
  return [{ name: 'get-many of 100 keys, keys a second against single gets', value, low, high, floor: 10, note }];
}

// What a line "name median low high" of a C program says.
const triple = (name, [value, low, high], floor, note) => ({ name, value, low, high, floor, note });
const us = (results, ...names) => names.map((name) => `${results[name][0].toFixed(2)} µs`).join(' to ');

async function core(stack, options) {
  const db = stack.newStore();
  await stack.core('load', db, options.keys);
  const results = parse(await stack.core('get', db, options.keys));
  return [
    triple('core: get, from the text of the request to that of the answer, against a prepared SELECT',
      results.get_core_to_select, 0.8, us(results, 'get_core_us', 'get_select_us')),
    triple('core: the store’s part of it (look-up, decoding, checksum), likewise',
      results.get_store_to_select, undefined, us(results, 'get_store_us', 'get_select_us')),
  ];
}

async function batches(stack, options) {
  const db = stack.newStore();
  await stack.core('load', db, options.keys);
  const results = parse(await stack.core('batch', db, options.keys));
  const item = (name, key) => ({ name, value: results[key][0], unit: 'µs' });
  return [
    triple('core: get-many of 100 against single gets', results.get_many_to_get, undefined,
      us(results, 'get_many_item_us')),
    triple('core: atomic of 100 sets against SQLite’s own INSERT OR REPLACE into such a table', results.atomic_to_insert,
      undefined, us(results, 'atomic_item_us', 'insert_item_us')),
    item('core: enqueue-many of 100, a message', 'enqueue_item_us'),
    item('core: dequeue of 100, a message', 'dequeue_item_us'),
    item('core: ack-many of 100, a message', 'ack_item_us'),
  ];
}

// The same load on a small and a large store.
async function scale(stack, options) {
  const small = stack.newStore();
  const large = stack.newStore();
  await stack.core('load', small, 10_000);
  await stack.core('load', large, options.manyKeys);
  const bytes = fs.statSync(large).size;
  const results = parse(await stack.core('scale', small, large, 10_000, options.manyKeys));
  const few = await stack.kvs(small, 8);
  const many = await stack.kvs(large, 8);
  const url = await stack.lighttpd({ '/many': many.socket, '/few': few.socket });
  const loads = [
    { url, mount: '/many', script: 'get', connections: 16, args: [options.manyKeys] },
    { url, mount: '/few', script: 'get', connections: 16, args: [10_000] },
  ];
  const { rates } = await inTurn(loads, options);
  await stack.end();
  const pages = parse(await stack.core('page', large, options.manyKeys));
  fs.rmSync(path.dirname(large), { recursive: true });
  const { median: value, low, high } = ratioOf(rates[0], rates[1]);
  const count = options.manyKeys.toLocaleString('en');
  return [
    { name: `get at ${count} keys against 10,000, lighttpd, 16 connections`, value, low, high, floor: 0.75,
      note: `${rate(rates[0])} to ${rate(rates[1])}; ${(bytes / 2 ** 30).toFixed(1)} GiB` },
    triple('core: the same in process', results.get_many_keys_to_few, undefined,
      `${us(results, 'get_many_keys_us', 'get_few_keys_us')}; a bare SELECT: ${results.select_many_keys_to_few[0]}`),
    triple(`core: last page of a list of ${count} keys against the first`, pages.list_last_to_first, undefined,
      `${us(pages, 'list_item_us')} an entry`),
  ];
}

async function waiting(stack, options) {
  const small = stack.newStore();
  const large = stack.newStore();
  await stack.core('queue', small, 1000);
  await stack.core('queue', large, options.manyMessages);
  const results = parse(await stack.core('dequeue', small, large));
  return [
    triple(`core: dequeue and ack at ${options.manyMessages.toLocaleString('en')} waiting messages against 1,000`,
      results.dequeue_many_to_few, 0.8, us(results, 'dequeue_many_us', 'dequeue_few_us')),
  ];
}

async function expiry(stack, options) {
  const r = parse(await run(stack.program('tests/bench/stall'), ['expire', stack.newStore(), String(options.expired)]));
  return [{
    name: `maintenance of ${options.expired.toLocaleString('en')} expired keys: a writer’s longest wait`,
    value: r.wait_longest_ms[0], unit: 'ms', floor: 50, most: true,
    note: `${r.expired[0]} entries in ${r.expire_seconds[0].toFixed(1)} s, ${r.writes_meanwhile[0]} durable sets meanwhile, ` +
      `median ${r.wait_p50_ms[0].toFixed(1)} ms, p99 ${r.wait_p99_ms[0].toFixed(1)} ms`,
  }];
}

async function log(stack, options) {
  const seconds = options.logSeconds;
  const r = parse(await run(stack.program('tests/bench/stall'), ['log', stack.newStore(), String(seconds)]));
  const note = (sets) => `4 clients, ${sets[0].toFixed(0)} sets/s`;
  return [
    { name: `the log’s greatest length in ${seconds} s of durable sets and gets`, value: r.log_most_mib[0], unit: 'MiB',
      floor: 16, most: true, note: note(r.log_writes_per_second) },
    { name: 'likewise beside a foreign reader that holds each snapshot for a second', value: r.slow_log_most_mib[0],
      unit: 'MiB', floor: 128, most: true, note: note(r.slow_log_writes_per_second) },
  ];
}

function resident(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(status.match(/VmRSS:\s+(\d+)/)[1]) / 1024;
}

async function memory(stack, options) {
  const db = stack.newStore();
  await stack.core('load', db, options.keys);
  const kvs = await stack.kvs(db, 8);
  const url = await stack.lighttpd({ '/kvs': kvs.socket });
  const load = { url, mount: '/kvs', script: 'mixed', connections: 32, args: [options.keys] };
  const sizes = [];
  for (let target = options.requests, done = 0; sizes.length < 2; target += options.requests) {
    while (done < target) done += (await wrk(load, options.seconds * 2)).requests;
    sizes.push(resident(kvs.child.pid));
  }
  await stack.end();
  const count = options.requests.toLocaleString('en');
  return [
    { name: `resident memory, 8 threads, after ${count} requests`, value: sizes[0], unit: 'MiB', floor: 48, most: true },
    { name: `its growth over the next ${count}`, value: sizes[1] - sizes[0], unit: 'MiB', floor: 1, most: true },
  ];
}

export const ROWS = {
  'get-lighttpd': behind({ name: 'get, lighttpd FastCGI, 16 connections', server: 'lighttpd', script: 'get', connections: 16,
    answer: ANSWERS.get, floor: 0.85 }),
  'get-nginx': behind({ name: 'get, nginx with keepalive 64, 16 connections', server: 'nginx', script: 'get', connections: 16,
    answer: ANSWERS.get, floor: 0.8 }),
  set: behind({ name: 'durable set, lighttpd FastCGI, 64 connections', server: 'lighttpd', script: 'set', connections: 64,
    answer: ANSWERS.set, floor: 0.65 }),
  'set-nginx': behind({ name: 'durable set, nginx with keepalive 64, 64 connections', server: 'nginx', script: 'set',
    connections: 64, answer: ANSWERS.set }),
  ...PEERS,
  enqueue: behind({ name: 'durable enqueue, lighttpd FastCGI, 64 connections', server: 'lighttpd', script: 'enqueue',
    connections: 64, answer: ANSWERS.enqueue, floor: 0.6 }),
  pair: behind({ name: 'durable dequeue and ack, lighttpd FastCGI, 64 connections', server: 'lighttpd', script: 'pair',
    connections: 64, answer: ANSWERS.pair, floor: 0.5, args: [], constantArgs: ['constant'], messages: 15000 }),
  cgi,
  'get-many': getMany,
  core,
  batches,
  scale,
  waiting,
  expiry,
  log,
  memory,
};
