// Damage is found, named, and got around.  Takes about 15 s.  Runs on the plain build.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import { Store, fill } from './lib/store.mjs';

const MARK = 'a value that is easily found in the file';

describe('a damaged byte', () => {
  let s;
  before(async () => {
    s = new Store();
    await s.serve();
    await fill(s);
    await s.ok('/kv/set', { key: ['hurt', 'key'], value: MARK });
    await s.ok('/kv/set', { bucket: 'kept', key: ['old'], value: `${MARK} before` });
    await s.ok('/kv/set', { bucket: 'kept', key: ['old'], value: 'after' });
    await s.ok('/queue/enqueue', { topic: 'hurt', payload: `${MARK} queued` });
    await s.stop();
    assert.equal((await s.maint([])).code, 0); // moves all of it from the log into the file
    for (const end of ['-wal', '-shm']) fs.rmSync(s.db + end);
  });
  after(() => s.remove());

  it('is found wherever it is, and the finding says what to do', async () => {
    const file = fs.readFileSync(s.db);
    let hits = 0;
    for (let at = file.indexOf(MARK); at >= 0; at = file.indexOf(MARK, at + 1), hits++) file[at + 3] ^= 1;
    assert.ok(hits >= 3);
    fs.writeFileSync(s.db, file);
    const { code, out, err } = await s.maint(['check']);
    assert.equal(code, 1);
    assert.match(err, /^(kvs-maint\[\d+\]: error: database: .*is (damaged|malformed).*\n)+$/, 'the pages it lies in');
    assert.match(out, /^entry: bucket default, key \["hurt","key"\], revision \d+: its checksum is wrong.*\n {4}\S.*kvs-maint|dump/m);
    assert.match(out, /^history: bucket kept, key \["old"\], revision \d+: its checksum is wrong/m);
    assert.match(out, /^message: message \d+, topic hurt: its payload is damaged/m);
    assert.match(out, /^engine: /m, 'their checksums are wrong, too');
    assert.doesNotMatch(out, /easily found/, 'values are nobody’s business');
    const { code: status, out: text } = await s.maint(['check', '--json', '--quiet']);
    assert.equal(status, 1);
    const json = JSON.parse(text);
    assert.equal(json.ok, false);
    assert.deepEqual([...new Set(json.findings.map((f) => f.kind))].sort(), ['engine', 'entry', 'history', 'message']);
    assert.ok(json.findings.every((f) => f.advice && f.what));
  });

  it('does not keep the rest from being dumped, loaded and served', async () => {
    const { code, err } = await s.maint(['dump', 'rest']);
    assert.equal(code, 1);
    assert.match(err, /bucket default: a damaged entry is left out/);
    assert.match(err, /3 rows or tables are damaged and left out/);
    const loaded = await s.maint(['load', '--db', s.path('rest.db'), 'rest']);
    assert.equal(loaded.code, 0, loaded.err);
    const check = await s.maint(['check', '--db', s.path('rest.db')]);
    assert.equal(check.code, 0, check.out);
    s.env.KV_DB_PATH = s.path('rest.db');
    const { json } = await s.cgi('/kv/get', { bucket: 'kept', key: ['old'] });
    assert.equal(json.entry.value, 'after');
    s.env.KV_DB_PATH = s.db;
  });

  it('in the structure of the file is found, too', async () => {
    const file = fs.readFileSync(s.db);
    for (let page = 3; page * 4096 < file.length; page += 2) file.fill(0xff, page * 4096, page * 4096 + 64);
    fs.writeFileSync(s.path('broken.db'), file);
    const { code, out, err } = await s.maint(['check', '--db', s.path('broken.db')]);
    assert.equal(code, 1, out);
    assert.match(out + err, /engine: .*\n|malformed/);
    assert.doesNotMatch(out + err, /Sanitizer|runtime error/);
    const dump = await s.maint(['dump', '--db', s.path('broken.db'), 'broken.dump']);
    assert.equal(dump.code, 1);
    assert.doesNotMatch(dump.err, /Sanitizer|runtime error/);
  });

  it('in a cut off file is found, too', async () => {
    const file = fs.readFileSync(s.db);
    fs.writeFileSync(s.path('short.db'), file.subarray(0, file.length / 2));
    const { code } = await s.maint(['check', '--db', s.path('short.db')]);
    assert.equal(code, 1);
  });
});

describe('load', () => {
  let s;
  let dump;
  before(async () => {
    s = new Store();
    await s.serve();
    await fill(s);
    dump = (await s.maint(['dump'])).out.trimEnd().split('\n');
    await s.stop();
  });
  after(() => s.remove());

  const load = (lines, db = s.path('target.db')) => s.maint(['load', '--db', db], { input: lines.map((line) => `${line}\n`).join('') });

  const isHistory = (line) => line.startsWith('{"type":"history","bucket":"kept"');

  it('refuses what is no dump, naming the line, and loads nothing', async () => {
    const entry = dump.findIndex((line) => line.startsWith('{"type":"entry"'));
    const change = (at, from, to) => dump.map((line, i) => (i === at ? line.replace(from, to) : line));
    const isEntryOf = (bucket) => (line) => line.startsWith(`{"type":"entry","bucket":"${bucket}"`);
    // The first line that is one, behind the last that is the other.
    const moved = (one, other) => {
      const at = dump.findIndex(one);
      const rest = [...dump.slice(0, at), ...dump.slice(at + 1)];
      const behind = rest.findLastIndex(other) + 1;
      return [...rest.slice(0, behind), dump[at], ...rest.slice(behind)];
    };
    const wrong = [
      [[], /line 0: the dump is cut off/],
      [dump.slice(0, -1), /the dump is cut off: its line of type "end" is missing/],
      [dump.slice(1), /line 1: a dump begins with its one line/],
      [[...dump.slice(0, 7), ...dump.slice(8)], /lines are missing|no line of its own|cut off/],
      [[...dump, '{}'], /line \d+: /],
      [[...dump, dump.at(-1)], /behind the line of type "end"/],
      [change(0, '"format":1', '"format":2'), /line 1: the dump has format 2/],
      [change(entry, '"key":', '"kye":'), new RegExp(`line ${entry + 1}: kye`)],
      [change(entry, /"key":\[.*?\],"rev/, '"key":[],"rev'), new RegExp(`line ${entry + 1}: key`)],
      [change(entry, /"revision":\d+/, '"revision":99999'), new RegExp(`line ${entry + 1}: the revision is beyond`)],
      [change(entry, '{', '{{'), new RegExp(`line ${entry + 1}: `)],
      [change(entry, '"bucket":"', '"bucket":"x'), /no line of its own/],
      [dump.map((line, i) => (i === entry + 1 ? dump[entry] : line)), /in order, each there once/],
      [change(1, '"history":1', '"history":0'), /line 2: options\.history/],
      [moved(isEntryOf('kept'), isHistory), /must stand behind all its entries/],
      [moved(isEntryOf('default'), isHistory), /must stand together/],
    ];
    for (const [lines, pattern] of wrong) {
      const { code, out, err } = await load(lines);
      assert.equal(code, 1);
      assert.equal(out, '');
      assert.match(err, pattern);
      assert.match(err, /nothing was loaded/);
    }
    const { out } = await s.maint(['stats', '--json', '--db', s.path('target.db')]);
    assert.deepEqual(Object.keys(JSON.parse(out).buckets), ['default']);
  });

  it('leaves out older values whose entry the dump has not, and says so', async () => {
    const history = dump.filter(isHistory);
    const { key } = JSON.parse(history[0]);
    const isEntry = (line) => line.startsWith('{"type":"entry","bucket":"kept"') && isDeepStrictEqual(JSON.parse(line).key, key);
    const lines = dump.slice(0, -1).filter((line) => !isEntry(line));
    assert.equal(lines.length, dump.length - 2);
    lines.push(`{"type":"end","lines":${lines.length}}`);
    const left = history.filter((line) => isDeepStrictEqual(JSON.parse(line).key, key)).length;
    const { code, out, err } = await load(lines, s.path('orphans.db'));
    assert.equal(code, 0, err);
    assert.match(err, new RegExp(`${left} older values of keys that have no entry in the dump are left out`));
    assert.match(out, /^loaded /);
    const check = await s.maint(['check', '--db', s.path('orphans.db')]);
    assert.equal(check.code, 0, check.out);
  });

  it('refuses a bucket that is not empty', async () => {
    assert.equal((await load(dump, s.path('twice.db'))).code, 0);
    const first = (await s.maint(['dump', '--db', s.path('twice.db')])).out;
    const { code, err } = await load(dump, s.path('twice.db'));
    assert.equal(code, 1);
    assert.match(err, /bucket \w+ is not empty: .*nothing was loaded/);
    assert.equal((await s.maint(['dump', '--db', s.path('twice.db')])).out, first);
  });

  it('does not use revisions and ids again that were given out', async () => {
    const db = s.path('used.db');
    const saved = s.env.KV_DB_PATH;
    s.env.KV_DB_PATH = db;
    let last;
    for (let i = 0; i < 30; i++) last = (await s.cgi('/kv/set', { key: ['x'], value: i })).json.revision;
    await s.cgi('/queue/enqueue', { topic: 't', payload: 'mine', dedupeId: 'id0' });
    await s.cgi('/kv/purge', { key: ['x'] });
    await s.cgi('/bucket/purge', { name: 'default' });
    const { code, out, err } = await load(dump, db);
    assert.equal(code, 0, err);
    assert.match(out, /1 duplicates left out/);
    assert.equal((await s.maint(['check', '--db', db])).code, 0);
    const { json } = await s.cgi('/kv/list', { prefix: [] });
    assert.ok(json.entries.length > 3);
    assert.ok(json.entries.every((e) => e.revision > last));
    s.env.KV_DB_PATH = saved;
  });

  it('takes one bucket by itself', async () => {
    const { out } = await s.maint(['dump', '--bucket', 'kept']);
    assert.deepEqual([...new Set(out.trimEnd().split('\n').map((line) => JSON.parse(line)).map((r) => r.bucket ?? r.name ?? r.type))], ['dump', 'kept', 'end']);
    assert.equal((await s.maint(['load', '--db', s.path('one.db')], { input: out })).code, 0);
    assert.equal((await s.maint(['dump', '--bucket', 'kept', '--db', s.path('one.db')])).out, out);
    const none = await s.maint(['dump', '--bucket', 'nosuch']);
    assert.equal(none.code, 1);
    assert.match(none.err, /no such bucket/);
  });

  it('keeps values of every shape byte for byte', async () => {
    const db = s.path('shapes.db');
    const saved = s.env.KV_DB_PATH;
    s.env.KV_DB_PATH = db;
    const deep = `${'['.repeat(127)}${']'.repeat(127)}`;
    const values = ['1.0', '-0', '1e400', '"\\u0000\\ud83d\\ude00\\/"', '{"a":1,"a":2}', deep, `"${'é'.repeat(100000)}"`, '[]', 'null'];
    await s.cgi('/bucket/create', { name: 'r', options: { republish: { filter: '>', topic: 'r', metaOnly: false } } });
    for (let i = 0; i < values.length; i++) {
      const { status, text } = await s.cgi('/kv/set', `{"bucket":"r","key":["k",${i}],"value":${values[i]}}`);
      assert.equal(status, 200, text);
    }
    const { out } = await s.maint(['dump']);
    for (const value of values) assert.ok(out.includes(`"value":${value}`), value.slice(0, 40));
    const loaded = await s.maint(['load', '--db', s.path('shapes2.db')], { input: out });
    assert.equal(loaded.code, 0, loaded.err);
    assert.equal((await s.maint(['dump', '--db', s.path('shapes2.db')])).out, out);
    s.env.KV_DB_PATH = saved;
  });
});

describe('compact', () => {
  let s;
  before(async () => {
    s = new Store();
    await s.serve();
  });
  after(() => s.remove());

  it('gives back what is free, while others write', async () => {
    const value = 'y'.repeat(20000);
    for (let i = 0; i < 100; i++) await s.ok('/kv/set', { key: ['big', i], value });
    await s.ok('/kv/purge', { prefix: ['big'] });
    await s.ok('/bucket/purge-deletes', { name: 'default', olderThan: 0 });
    await s.maint([]);
    const writers = s.write(2);
    const { code, out, err } = await s.maint(['compact', '--json']);
    assert.equal(code, 0, err);
    const { before: was, after: is, skipped } = JSON.parse(out);
    assert.equal(skipped, false);
    assert.ok(was > 2000000 && is < was / 2, out);
    await writers.stop();
    await s.maint([]);
    assert.ok(fs.statSync(s.db).size < was / 2);
    const check = await s.maint(['check']);
    assert.equal(check.code, 0, check.out);
    assert.match((await s.maint(['compact'])).out, /bytes before, .* after/);
  });
});
