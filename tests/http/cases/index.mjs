// The groups of cases, in the order they run.
import * as atomic from './atomic.mjs';
import * as buckets from './buckets.mjs';
import * as changes from './changes.mjs';
import * as conventions from './conventions.mjs';
import * as exactness from './exactness.mjs';
import * as fields from './fields.mjs';
import * as history from './history.mjs';
import * as increment from './increment.mjs';
import * as keys from './keys.mjs';
import * as kv from './kv.mjs';
import * as leases from './leases.mjs';
import * as limits from './limits.mjs';
import * as list from './list.mjs';
import * as listen from './listen.mjs';
import * as locks from './locks.mjs';
import * as memory from './memory.mjs';
import * as queue from './queue.mjs';
import * as republish from './republish.mjs';
import * as reset from './reset.mjs';
import * as ttl from './ttl.mjs';
import * as transport from './transport.mjs';
import * as watch from './watch.mjs';

// All of it; reset last, since it empties the database that all share.
export const EVERYTHING = [
  transport,
  conventions,
  exactness,
  keys,
  kv,
  increment,
  ttl,
  list,
  atomic,
  queue,
  leases,
  fields,
  buckets,
  history,
  changes,
  limits,
  memory,
  watch,
  listen,
  locks,
  republish,
  reset,
];

// What a process for each request can change: state that would live in one, waiting, what is shared.  The rest is judged by
// the same code behind FastCGI, and takes 4000 processes.
export const PROCESSES = [transport, kv, memory, watch, listen, reset];

// What can depend on how the web server passes a request on.
export const TRANSPORT = [transport];
