// kvs-maint token new: what it refuses, and that nobody's token is printed twice.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const BUILD = process.env.KVS_BUILD ? path.resolve(process.env.KVS_BUILD) : ROOT;
const dir = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-token-'));
const conf = path.join(dir, 'kvs.conf');
fs.writeFileSync(conf, `db_path = ${dir}/none/kv.db\n`, { mode: 0o600 });
after(() => fs.rmSync(dir, { recursive: true }));

function token(...args) {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, KVS_CONFIG: conf } };
    execFile(path.join(BUILD, 'tools/kvs-maint'), ['token', ...args], options, (error, out, err) => {
      resolve({ status: error?.code ?? 0, out, err });
    });
  });
}

it('prints a token and the lines that let it in, and needs no database', async () => {
  const { status, out, err } = await token('new', 'a.b-C_1', '--scope', 'write', '--bucket', 'x', '--bucket', 'y*');
  assert.deepEqual([status, err], [0, '']);
  assert.match(out, /^The token, shown this once:\nkvs_[\w-]{43}\n\nLines to add .*\n\[token a\.b-C_1\]\nhash = [0-9a-f]{64}\n/);
  assert.ok(out.endsWith('\nscope = write\nbuckets = x\nbuckets = y*\n'), out);
  const again = await token('new', 'a.b-C_1');
  assert.notEqual(/kvs_\S+/.exec(again.out)[0], /kvs_\S+/.exec(out)[0]);
  assert.ok(again.out.endsWith('\nscope = read\n'));
});

it('--json has the same', async () => {
  const { out } = await token('new', 'j', '--json', '--key', '["u",1]', '--expires', '2030-12-31');
  const { token: text, hash, ...more } = JSON.parse(out);
  assert.match(text, /^kvs_[\w-]{43}$/);
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.deepEqual(more, { name: 'j', scope: 'read', keys: ['["u",1]'], expires: '2030-12-31' });
});

it('refuses what the file would refuse, and prints nothing', async () => {
  const wrong = [
    ['new', 'x', '--scope', 'root'],
    ['new', 'x', '--bucket', 'a b'],
    ['new', 'x', '--key', '[1'],
    ['new', 'x', '--key', 'a.*'],
    ['new', 'x', '--topic', ''],
    ['new', 'x', '--topic', 'a ;b'],
    ['new', 'x', '--topic', 't'.repeat(191)],
    ['new', 'x', '--expires', '2030-02-30'],
    ['new', 'x', '--scope', 'admin', '--topic', 'a'],
    ['new', 'x', '--since', '1'],
    ['new', 'x', 'y'],
    ['new'],
    ['old', 'x'],
    [],
  ];
  for (const args of wrong) {
    const { status, out, err } = await token(...args);
    assert.deepEqual([status, out], [2, ''], args.join(' '));
    assert.match(err, /kvs-maint\[\d+\]: error: /, args.join(' '));
  }
});

it('refuses a name that is taken, or none', async () => {
  const { out } = await token('new', 'taken');
  fs.appendFileSync(conf, out.slice(out.indexOf('[token')));
  for (const name of ['taken', 'a b', '', 'x'.repeat(33)]) {
    const { status, out: text } = await token('new', name);
    assert.deepEqual([status, text], [1, ''], name);
  }
  assert.equal((await token('new', 'free')).status, 0);
});
