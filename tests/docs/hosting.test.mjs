// doc/hosting.md is true: the configurations quoted are the files that the tests serve from, the commands are those that the
// tests start servers with, and no row is missing.  (Its tables of failures are played by tests/http/missing.test.mjs.)
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { DEPLOYMENTS } from '../http/lib/deployments.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');
const text = read('doc/hosting.md');
const blocks = [...text.matchAll(/^```(\w+) (.*)\n([^]*?)^```$/gm)].map(([, kind, about, body]) => ({ kind, about, body }));
const quoted = blocks.filter(({ kind, about }) => kind === 'conf' && about !== 'kvs.conf');
const FILES = [...new Set(Object.values(DEPLOYMENTS).map(({ conf }) => conf)), 'deploy/shared-hosting/.htaccess'];

it('every block says what it is', () => {
  const fences = text.match(/^```/gm).length / 2;
  assert.equal(blocks.length, fences);
  assert.deepEqual(blocks.filter(({ kind }) => !['conf', 'sh'].includes(kind)), []);
});

it('every configuration that the tests serve from is quoted, and no other', () => {
  assert.deepEqual(quoted.map(({ about }) => about).sort(), [...FILES].sort());
});

for (const { about, body } of quoted) {
  it(`${about} is quoted as it is`, () => assert.equal(body, read(about)));
}

// It takes the end of a longer line, even of a comment, for a setting.
it('no line is too long for BusyBox, with paths of 100 bytes put in', () => {
  const longest = (body) => Math.max(...body.replace(/@(DIR|WWW)@/g, 'x'.repeat(100)).split('\n').map((line) => line.length));
  assert.ok(longest(read('deploy/busybox/httpd.conf')) <= 158);
});

// What the tests run, with the page's names in place of a deployment's own.
function commands({ server, beside }) {
  const [program] = server.program;
  const args = server.args('@CONF@', '@DIR@', '@PORT@');
  const own = server.environment ? 'KVS_CONFIG=@DIR@/kvs.conf ' : '';
  const found = [`${own}${path.basename(program)} ${args.join(' ')}`];
  if (!beside) return found;
  const [helper, ...rest] = beside({ wrap: [], file: (name) => name }, '@SOCKET@');
  const config = helper.endsWith('kvs.fcgi') ? 'KVS_CONFIG=@DIR@/kvs.conf ' : '';
  return [...found, `${config}${path.basename(helper)} ${rest.join(' ')}`];
}

for (const [name, deployment] of Object.entries(DEPLOYMENTS)) {
  it(`${name} is started with the page's commands`, () => {
    const shown = blocks.filter(({ kind, about }) => kind === 'sh' && about.split(' ').includes(name));
    assert.deepEqual(shown.map(({ body }) => body.trimEnd()).sort(), commands(deployment).sort());
  });

  it(`${name} has its row`, () => {
    const rows = text.split('\n').filter((line) => line.startsWith(`| \`${name}\` | [`));
    assert.equal(rows.length, 1);
    const [, , , program, file] = rows[0].split('|').map((cell) => cell.trim());
    assert.equal(program, deployment.mode === 'cgi' ? 'CGI' : 'FastCGI');
    assert.equal(file, `\`${name === 'apache-htaccess' ? 'deploy/shared-hosting/.htaccess' : deployment.conf}\``);
  });
}

it('the lines of kvs.conf are those of every test', () => {
  const { body } = blocks.find(({ about }) => about === 'kvs.conf');
  const source = read('tests/http/lib/servers.mjs');
  for (const line of body.trimEnd().split('\n')) {
    const name = line.split(' = ')[0];
    assert.ok(source.includes(`\`${name} = $`), name);
  }
});
