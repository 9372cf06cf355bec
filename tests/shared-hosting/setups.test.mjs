// deploy/shared-hosting on this machine's Apache, run as an ordinary user.  KVS_KEEP=1 keeps the directories.
// Mostly waits.  Takes about 20 s.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { newToken } from '../http/lib/tokens.mjs';
import { find, get, good, health, imperfect, LOGGED, verdicts, wrong } from './lib/cases.mjs';
import { account, BUILD, Host, sanitizers } from './lib/host.mjs';

const newHost = () => new Host();

describe('a host set up as the how-to says', () => good(newHost));
describe('set-ups that are wrong', () => wrong(newHost));
describe('set-ups that work, but not as they should', () => imperfect(newHost));

describe('kvs.fcgi where the database cannot be used', () => {
  it('ends with status 1 and says in its log what kvs.cgi would', () => {
    const host = new Host();
    try {
      host.upload();
      host.chmod('kvs', 0o777);
      const env = { KVS_CONFIG: host.at('kvs/kvs.conf'), ...sanitizers() };
      const command = [path.join(BUILD, 'fcgi/kvs.fcgi'), '--listen', host.at('sock')];
      const { status, stderr } = spawnSync(...host.as(host.customer, command, { env, encoding: 'utf8' }));
      assert.equal(status, 1, stderr);
      assert.match(stderr, /^kvs\.fcgi\[\d+\]: error: directory: .*\/kvs can be written by everyone: chmod o-w it\. .*\n$/);
      assert.ok(!fs.existsSync(host.at('sock')), 'it left its socket');
    } finally {
      host.remove();
    }
  });
});

// Needs two users, which root alone can be.
describe('a host that runs programs as a user of its own', { skip: process.getuid() !== 0 && 'needs root' }, () => {
  const owner = newToken('owner', '--scope', 'admin');
  const bearer = { Authorization: `Bearer ${owner.token}` };
  let host = null;
  before(async () => {
    host = new Host({ customer: account('nobody'), server: account('www-data') });
    host.upload();
    await host.start();
  });

  it('kvs/ for its owner alone: told to anybody, without a path', async () => {
    const { status, body, text } = await get(host, bearer);
    assert.equal(status, 500);
    assert.match(body.error.message, /not set up yet: kvs\.conf: Permission denied/);
    assert.ok(!text.includes(host.dir), text);
  });

  it('as the how-to says for such hosts: it works, and says what that means', async () => {
    host.chmod('kvs', 0o1777);
    host.put('kvs/kvs.conf', 0o644, { text: `db_path = kv.db\n${owner.lines.join('\n')}\n` });
    const { status, body } = await health(host, bearer);
    assert.deepEqual([status, verdicts(body, 'wrong')], [200, []]);
    assert.match(find(body, 'user').message, /^runs as www-data .*though the program belongs to nobody .*read each other's files/);
    assert.equal(find(body, 'user').verdict, 'warning');
    assert.equal((await get(host, bearer)).status, 200);
  });

  it("another customer's kvs.conf is none of ours", async () => {
    fs.chownSync(host.at('kvs/kvs.conf'), 4242, 4242);
    const { body } = await get(host, bearer);
    assert.match(body.error.message, /kvs\.conf: must belong to the user that runs this program, to the program's owner or to root/);
  });

  it('stops without an unexpected line in any log', async () => {
    host.expected.push(LOGGED);
    assert.deepEqual(await host.stop(), []);
  });
  after(() => host?.remove());
});
