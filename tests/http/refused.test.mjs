// A request that is refused before its body has come: the answer reaches also a web server that sends the whole body first.
// Mostly waits.  Takes about 7 s.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';

import { BEGIN, PARAMS, STDIN, record, requestRecords } from '../watch/lib/fcgi.mjs';
import { startDeployment } from './lib/servers.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const IO_TIMEOUT = 600;

// Sends the head of a request that is too large, then a little of its body every `pause` ms, `pieces` times or until the
// connection is closed; answers what came back, whether everything could be sent, and the longest time between two pieces.
async function drip(deployment, pause, pieces) {
  const body = Buffer.alloc(100_000, ' ');
  const head = requestRecords('/kv/get', deployment.token, body).slice(0, 3);
  assert.deepEqual(head.map((one) => one[1]), [BEGIN, PARAMS, PARAMS]);
  const socket = net.connect({ path: deployment.file('kvs.sock'), allowHalfOpen: true });
  let answer = '';
  let closed = false;
  let longest = 0;
  socket.on('data', (part) => (answer += part.toString('latin1')));
  socket.on('error', () => (closed = true));
  socket.write(Buffer.concat(head));
  let last = performance.now();
  for (let i = 0; i < pieces && !closed; i += 1) {
    await sleep(pause);
    socket.write(record(STDIN, body.subarray(0, 10)));
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }
  socket.destroy();
  return { answer, closed, longest };
}

describe('a body that is too large and comes slowly', () => {
  let deployment = null;
  before(async () => {
    deployment = await startDeployment('nginx-fastcgi', { settings: { io_timeout: IO_TIMEOUT, max_body: 2000 } });
  });

  it('is taken to its end, so that nobody has to stop writing to see the 413', async () => {
    // Four times io_timeout in all, and never so long between two pieces; a machine that was too busy for that tries again.
    let seen;
    do seen = await drip(deployment, IO_TIMEOUT / 10, 40);
    while (seen.longest > IO_TIMEOUT / 2);
    assert.match(seen.answer, /Status: 413 [^]*"too_large"/);
    assert.equal(seen.closed, false, 'the connection was closed while the body still came');
  });

  it('is not taken without end', async () => {
    assert.equal((await drip(deployment, 50, 2000)).closed, true);
  });

  it('stops without an unexpected line in any log', async () => assert.deepEqual(await deployment.stop(), []));
  after(async () => {
    await deployment?.stop();
  });
});
