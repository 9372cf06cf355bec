// doc/operations.md is true: its commands run in their order on a host as the package leaves it, and its table of messages is what
// the programs can say.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { shellBlocks } from './lib/blocks.mjs';
import { Host, ROOT } from './lib/host.mjs';
import { messagesOf } from './lib/messages.mjs';

const FILE = path.join(ROOT, 'doc/operations.md');
const text = fs.readFileSync(FILE, 'utf8');

describe('the commands of doc/operations.md', () => {
  const blocks = shellBlocks(FILE).filter(({ marks }) => !marks.includes('elsewhere'));
  let host = null;
  let broken = null;
  before(async () => {
    host = new Host();
    await host.start();
    assert.equal((await host.post('/kv/set', { key: ['before'], value: 1 })).status, 200);
  });
  after(() => host?.stop());

  for (const { line, heading, lines } of blocks) {
    it(`line ${line}: ${heading}`, async () => {
      assert.equal(broken, null, `a block before this one failed (${broken})`);
      broken = `line ${line}`;
      await host.run(lines.join('\n'));
      broken = null;
    });
  }

  it('what was there before is there still, and is served', async () => {
    const { json } = await host.post('/kv/get', { key: ['before'] });
    assert.equal(json.entry?.value, 1);
  });

  it('a token that was appended is let in', async () => {
    const made = await host.run('kvs-maint token new late --scope read | tee late');
    fs.appendFileSync(host.file('etc/kvs/kvs.conf'), made.slice(made.indexOf('[token')));
    await host.run('systemctl restart kvs.service');
    const [token] = /^[\w-]{20,}$/m.exec(made);
    assert.equal((await host.post('/kv/get', { key: ['before'] }, token)).status, 200);
    assert.equal((await host.post('/kv/set', { key: ['before'], value: 2 }, token)).status, 403);
  });

  it('the service has logged nothing but information', () => {
    const journal = fs.readFileSync(host.file('journal'), 'utf8').split('\n');
    assert.deepEqual(journal.filter((line) => line && !/\]: (info|debug): /.test(line)), []);
  });
});

describe('the messages of doc/operations.md', () => {
  const section = text.slice(text.indexOf('\n## Messages'));
  const told = new Set([...section.matchAll(/`([^`]+)`/g)].map(([, message]) => message));
  // What says something to whoever starts a program.
  const FILES = [
    ...['config', 'config_file', 'token', 'hostfs', 'schema', 'store', 'storage', 'writelock', 'kvs'].map((name) => `core/${name}.c`),
    ...['fcgi', 'cgi', 'tools'].flatMap((dir) => fs.readdirSync(path.join(ROOT, dir)).filter((name) => name.endsWith('.c')).map((name) => `${dir}/${name}`)),
  ];
  const said = new Map(FILES.map((file) => [file, messagesOf(path.join(ROOT, file))]));

  for (const [file, messages] of said) {
    if (messages.length === 0) continue;
    it(`${file}: each has its row`, () => {
      assert.deepEqual(messages.filter((message) => !told.has(message.trim()) && !told.has(message)), []);
    });
  }

  it('no row is of a message that is gone', () => {
    const all = new Set([...said.values(), messagesOf(path.join(ROOT, 'core/db.c'))].flat().map((message) => message.trim()));
    const rows = section.split('\n').filter((line) => line.startsWith('| `')).map((line) => line.split(' | ')[0]);
    const messages = rows.flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, message]) => message.trim()));
    assert.ok(messages.length > 100);
    assert.deepEqual(messages.filter((message) => !all.has(message)), []);
  });
});
