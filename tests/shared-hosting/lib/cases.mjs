// What has to hold of deploy/shared-hosting on a host, whichever: it serves where it was uploaded as its how-to says, and each thing
// that can be wrong with it is told in words: to whoever has the token, in a shell, in the log, but not to strangers.
//
// newHost answers a Host that was not started yet.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, it } from 'node:test';

import { newToken } from '../../http/lib/tokens.mjs';
import { TOKEN } from './host.mjs';

const BEARER = { Authorization: `Bearer ${TOKEN}` };
const HEALTH = ['ok', 'uptime', 'version', 'mode'];

export const LOGGED = /kvs\.cgi\[\d+\]: error: /;

// Asks as Client does; answers status and object.
export async function ask(host, options) {
  const answer = await host.client.request(options);
  const { status, headers } = answer;
  assert.match(headers['content-type'] ?? '', /^application\/json\b/, `${options.path} answered ${status} ${answer.body}`);
  return { status, headers, body: answer.json, text: answer.text };
}

export const health = (host, headers = {}) => ask(host, { method: 'GET', path: '/health', headers });
export const get = (host, headers = {}) => ask(host, { path: '/kv/get', body: '{"key":["a"]}', headers });
export const find = (body, name) => body.checks.find((check) => check.name === name);
export const verdicts = (body, verdict) => body.checks.filter((check) => check.verdict === verdict).map(({ name }) => name);

export function good(newHost) {
  const reader = newToken('reader');
  let host = null;
  before(async () => {
    host = newHost();
    host.upload();
    host.put('kvs/kvs.conf', 0o600, host.conf({ lines: ['stream_limit = 1', ...reader.lines] }));
    await host.start();
  });

  it('the first request makes the database outside of the document root', async () => {
    assert.deepEqual(fs.readdirSync(host.at('kvs')), ['kvs.conf']);
    const { status, body } = await health(host);
    assert.equal(status, 200);
    assert.deepEqual([Object.keys(body), body.ok, body.mode], [HEALTH, true, 'cgi']);
    const made = fs.statSync(host.at('kvs/kv.db'));
    assert.equal(made.mode & 0o777, 0o660);
    assert.deepEqual(fs.readdirSync(host.at('public_html/kvs')).sort(), ['.htaccess', 'kvs.cgi']);
  });

  it('keys are set and read, with and without the name of the program in the path', async () => {
    const set = await ask(host, { path: '/kv/set', body: '{"key":["a"],"value":"é"}', headers: BEARER });
    assert.equal(set.status, 200);
    for (const path of ['/kv/get', '/kvs.cgi/kv/get', '//kv//get']) {
      const { status, body } = await ask(host, { path, body: '{"key":["a"]}', headers: BEARER });
      assert.deepEqual([path, status, body.entry?.value], [path, 200, 'é']);
    }
  });

  it('a stream comes through and ends at its limit', async () => {
    const answer = await host.client.request({ path: '/kv/watch', body: '{"heartbeat":100}', headers: BEARER });
    const lines = answer.text.trimEnd().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual([lines[0].type, lines[0].entry.value], ['entry', 'é']);
    assert.ok(lines.some(({ type }) => type === 'heartbeat'), answer.text);
    assert.deepEqual([lines.at(-1).type, lines.at(-1).reason], ['end', 'limit']);
  });

  it('the token of the owner sees every check, and nothing wrong', async () => {
    const { status, body } = await health(host, BEARER);
    assert.deepEqual([status, ...Object.keys(body)], [200, ...HEALTH, 'checks']);
    assert.deepEqual(verdicts(body, 'wrong'), [], JSON.stringify(body));
    assert.deepEqual(verdicts(body, 'unknown'), [], JSON.stringify(body));
    assert.match(find(body, 'authorization').message, /as (REDIRECT_)?HTTP_AUTHORIZATION/);
    assert.ok(find(body, 'config').message.startsWith(`${host.seen(host.at('kvs/kvs.conf'))}, mode 0600, of `));
    assert.match(find(body, 'secrets').message, /lies outside of the document root/);
  });

  it('other tokens and strangers see what a stranger sees', async () => {
    for (const token of [reader.token, `${TOKEN}x`, '']) {
      const { status, body } = await health(host, { Authorization: `Bearer ${token}` });
      assert.deepEqual([status, Object.keys(body)], [200, HEALTH]);
    }
    assert.equal((await get(host, { Authorization: `Bearer ${reader.token}` })).status, 200);
  });

  it('HEAD answers without a body', async () => {
    const answer = await host.client.request({ method: 'HEAD', path: '/health', headers: BEARER });
    assert.deepEqual([answer.status, answer.body.length], [200, 0]);
  });

  it('the words of a query string are no options of the program', async () => {
    for (const words of ['--help', '--check', '--version', '--set+db_path%3D/tmp/stolen.db', '--config+/etc/passwd', 'x']) {
      const { status, body } = await ask(host, { method: 'GET', path: `/health?${words}` });
      assert.deepEqual([words, status, Object.keys(body)], [words, 200, HEALTH]);
      assert.equal((await ask(host, { method: 'GET', path: `/kvs.cgi/health?${words}` })).status, 200);
    }
    assert.ok(!fs.existsSync('/tmp/stolen.db'));
  });

  it('no file of the folder is handed out', async () => {
    host.put('public_html/kvs/kvs.conf.old', 0o644, host.conf());
    for (const name of ['/kvs.conf.old', '/.htaccess', '/']) {
      const answer = await host.client.request({ method: 'GET', path: name });
      assert.ok([401, 403].includes(answer.status), `${name} answered ${answer.status}`);
      assert.ok(!answer.text.includes(TOKEN));
    }
    fs.rmSync(host.at('public_html/kvs/kvs.conf.old'));
  });

  it('--check finds nothing wrong either', () => {
    const { status, text, stderr } = host.check();
    assert.deepEqual([status, stderr], [0, ''], text);
    assert.match(text, /^good {5}engine: the database can be read/m);
    assert.match(text, /^unknown {2}authorization: only a request shows/m);
  });

  it('stops without an unexpected line in any log', async () => {
    host.expected.push(/AH01797|AH01630/); // Apache keeps .ht* to itself
    assert.deepEqual(await host.stop(), []);
  });
  after(() => host?.remove());
}

// The lines of .htaccess without those that contain one of these words.
function htaccess(host, ...words) {
  const text = fs.readFileSync(host.at('public_html/kvs/.htaccess'), 'utf8');
  host.put('public_html/kvs/.htaccess', 0o644, { text: text.split('\n').filter((line) => !words.some((word) => line.includes(word))).join('\n') });
}

// What is done to a good set-up; the check that must find it wrong and how; for: what strangers are told where they are told
// anything (nobody has a token then).
const WRONG = [
  ['no kvs.conf', (h) => fs.rmSync(h.at('kvs/kvs.conf')), 'token', /no access token is set.*set access_token in kvs\.conf/, /no access token is set/],
  ['no token in kvs.conf', (h) => h.put('kvs/kvs.conf', 0o600, { text: 'db_path = kv.db\n' }), 'token', /no access token is set/, /set access_token in kvs\.conf/],
  ['kvs.conf can be read by others', (h) => h.chmod('kvs/kvs.conf', 0o644), 'config', /HOME\/kvs\/kvs\.conf: holds access_token and others can read it; run: chmod o-r/],
  ['kvs.conf can be written by others', (h) => h.chmod('kvs/kvs.conf', 0o666), 'config', /others can write it; run: chmod go-w HOME\/kvs\/kvs\.conf/, /: kvs\.conf: others can write it; run: chmod go-w kvs\.conf/],
  ['kvs.conf cannot be read', (h) => h.chmod('kvs/kvs.conf', 0o000), 'config', /HOME\/kvs\/kvs\.conf: Permission denied/, /: kvs\.conf: Permission denied/],
  ['a name in kvs.conf that is none', (h) => h.put('kvs/kvs.conf', 0o600, h.conf({ lines: ['colour = red'] })), 'config', /HOME\/kvs\/kvs\.conf:\d+: colour: there is no such name/],
  ['the directory is missing', (h) => h.put('kvs/kvs.conf', 0o600, h.conf({ dbPath: 'data/kv.db' })), 'directory', /HOME\/kvs\/data cannot be used: No such file or directory \(make it.*runs as /],
  ['the directory cannot be written', (h) => h.chmod('kvs', 0o500), 'directory', /HOME\/kvs cannot be written by this user: chown or chmod it.*mode 0500 and belongs to .*; this program runs as /],
  ['the directory can be written by everyone', (h) => h.chmod('kvs', 0o777), 'directory', /HOME\/kvs can be written by everyone: chmod o-w it/],
  ['the database lies below the document root', (h) => h.put('kvs/kvs.conf', 0o600, h.conf({ dbPath: '../public_html/kvs/kv.db' })), 'document_root', /is below the web server's document root, where anyone could download the database/],
  ['the database can be written by everyone', (h) => h.put('kvs/kv.db', 0o666, { text: '' }), 'database', /HOME\/kvs\/kv\.db can be written by everyone: chmod o-rwx it/],
  ['the database cannot be written', (h) => h.put('kvs/kv.db', 0o400, { text: '' }), 'database', /HOME\/kvs\/kv\.db has mode 0400 and belongs to .* cannot read and write it \(Permission denied\)/],
  ['a file beside the database cannot be used', (h) => h.put('kvs/kv.db.lock', 0o000, { text: '' }), 'database', /HOME\/kvs\/kv\.db\.lock has mode 0000 and belongs to .*chown or chmod the file/],
  ['the database is a directory', (h) => h.folder('kvs/kv.db', 0o700), 'database', /HOME\/kvs\/kv\.db is no regular file/],
  ['the database is something else', (h) => h.put('kvs/kv.db', 0o600, { text: 'not a database, but a text that is long enough to be looked at'.repeat(20) }), 'engine', /the database cannot be used: /],
];

export function wrong(newHost) {
  let host = null;
  before(async () => {
    host = newHost();
    host.upload();
    await host.start();
  });

  for (const [title, spoil, name, words, toAnybody] of WRONG) {
    it(title, async () => {
      host.upload();
      spoil(host);
      const wanted = new RegExp(words.source.replaceAll('HOME', host.seen(host.home).replaceAll('.', '\\.')));
      const before = host.log().length;

      const stranger = await health(host);
      assert.deepEqual([stranger.status, Object.keys(stranger.body), stranger.body.ok], [503, HEALTH, false]);
      assert.match(host.log().slice(before), wanted, 'the log says it');
      assert.match(host.log().slice(before), new RegExp(`${LOGGED.source}${name}: `));
      const others = await get(host, { Authorization: 'Bearer wrong' });
      assert.ok(!others.text.includes(host.seen(host.dir)), others.text);
      assert.equal(others.status, toAnybody ? 500 : 401, others.text);
      if (toAnybody) assert.match(others.body.error.message, toAnybody);

      const { status, body } = await health(host, BEARER);
      assert.deepEqual([status, body.ok], [503, false]);
      const owner = await get(host, BEARER);
      assert.equal(owner.status, 500);
      if (!toAnybody) {
        assert.equal(find(body, name).verdict, 'wrong', JSON.stringify(body));
        assert.match(find(body, name).message, wanted);
        assert.deepEqual(verdicts(body, 'wrong'), [name]);
        assert.match(owner.body.error.message, wanted);
      }

      const shell = host.check();
      assert.equal(shell.status, 1, shell.text);
      assert.match(shell.text, new RegExp(`^wrong {4}${name}: .*${wanted.source}`, 'm'));
      if (fs.statSync(host.at('kvs')).mode & 0o200) {
        const left = fs.readdirSync(host.at('kvs')).filter((file) => file.startsWith('.'));
        assert.deepEqual(left, [], 'a check left something behind');
      }
      assert.deepEqual(fs.readdirSync(host.at('public_html/kvs')).sort(), ['.htaccess', 'kvs.cgi']);
    });
  }

  it('put right again, it serves', async () => {
    host.upload();
    assert.equal((await health(host)).status, 200);
    assert.equal((await get(host, BEARER)).status, 200);
  });

  it('stops without an unexpected line in any log', async () => {
    host.expected.push(LOGGED);
    assert.deepEqual(await host.stop(), []);
  });
  after(() => host?.remove());
}

export function imperfect(newHost) {
  let host = null;
  before(async () => {
    host = newHost();
    host.upload();
    await host.start();
  });

  it('a header Authorization that is kept back', async () => {
    host.upload();
    htaccess(host, 'SetEnvIf');
    assert.match((await get(host, BEARER)).body.error.message, /no token came with the request.*X-KVS-Token/);
    assert.match((await get(host, { 'X-KVS-Token': 'wrong' })).body.error.message, /not valid/);
    assert.equal((await get(host, { 'X-KVS-Token': TOKEN })).status, 200);
    const { status, body } = await health(host, { ...BEARER, 'X-KVS-Token': TOKEN });
    assert.equal(status, 200);
    const found = find(body, 'authorization');
    assert.equal(found.verdict, 'warning');
    assert.match(found.message, /SetEnvIf Authorization "\(\.\*\)" HTTP_AUTHORIZATION=\$1 in \.htaccess/);
    host.upload();
    assert.equal(find((await health(host, { 'X-KVS-Token': TOKEN })).body, 'authorization').verdict, 'warning');
    assert.equal(find((await health(host, { ...BEARER, 'X-KVS-Token': TOKEN })).body, 'authorization').verdict, 'good');
  });

  it('kvs.conf with a token below the document root', async () => {
    host.upload();
    fs.rmSync(host.at('kvs/kvs.conf'));
    host.put('public_html/kvs/kvs.conf', 0o600, host.conf({ dbPath: '../../kvs/kv.db' }));
    const { status, body } = await health(host, BEARER);
    assert.deepEqual([status, body.ok, verdicts(body, 'wrong')], [200, true, ['secrets']]);
    assert.match(find(body, 'secrets').message, /holds access_token and lies below the document root.*move it to/);
    const shell = host.check();
    assert.equal(shell.status, 1);
    assert.match(shell.text, /^wrong {4}secrets: /m);
    const served = await host.client.request({ method: 'GET', path: '/kvs.conf' });
    assert.ok(served.status === 401 && !served.text.includes(TOKEN));
  });

  it('a token that can be guessed, and one that has expired', async () => {
    host.upload();
    const old = newToken('old', '--scope', 'read', '--expires', '2020-02-29');
    host.put('kvs/kvs.conf', 0o600, { text: `access_token = ${TOKEN}\ndb_path = kv.db\n${old.lines.join('\n')}\n` });
    assert.match(find((await health(host, BEARER)).body, 'token').message, /\[token old\] has expired/);
    host.put('kvs/kvs.conf', 0o600, { text: 'access_token = sesame\ndb_path = kv.db\n' });
    const { body } = await health(host, { Authorization: 'Bearer sesame' });
    assert.match(find(body, 'token').message, /fewer than 16 characters/);
  });

  it('limits of the host', () => {
    host.upload();
    const files = host.check({ limit: 'ulimit -f 8192' }); // blocks of 512 bytes
    assert.equal(files.status, 1, files.text);
    assert.match(files.text, /^wrong {4}limits: a limit of this host \(ulimit\) lets \d+ bytes a file may have/m);
    const open = host.check({ limit: 'ulimit -n 24' });
    assert.match(open.text, /^warning {2}limits: .* lets 24 files may be open/m);
  });

  it('a shell that does not know the document root', () => {
    host.upload();
    const { text } = host.check({ env: { DOCUMENT_ROOT: '', KVS_CONFIG: host.seen(host.at('kvs/kvs.conf')) } });
    assert.match(text, /^unknown {2}document_root: the document root is not known here/m);
    assert.match(text, /^unknown {2}secrets: /m);
  });

  it('stops without an unexpected line in any log', async () => assert.deepEqual(await host.stop(), []));
  after(() => host?.remove());
}
