// Runs all cases in a runtime that is not Node: prints TAP.  Takes the server's address and token from the environment.
import * as kvs from '../../../client/dist/index.js';
import { GROUPS } from '../cases/index.mjs';
import { runCase } from './context.mjs';

const { KVS_TEST_URL: url, KVS_TEST_TOKEN: token } = process.env;
let count = 0;
let failed = 0;
const jobs = [];
for (const group of GROUPS) group.cases((title, body) => jobs.push([`${group.title}: ${title}`, body]));
for (const [title, body] of jobs) {
  const error = await runCase(kvs, { url, token }, body);
  if (error) failed++;
  console.log(`${error ? 'not ' : ''}ok ${++count} - ${title}`);
  if (error) console.log(`# ${String(error.stack ?? error).replaceAll('\n', '\n# ')}`);
}
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
