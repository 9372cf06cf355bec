// doc/protocol.md is true: its examples are played, and nothing of the program is missing from it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startDeployment } from '../http/lib/servers.mjs';
import { readBlocks } from './lib/blocks.mjs';
import { Player, match } from './lib/play.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');
const FILE = path.join(ROOT, 'doc/protocol.md');
const text = read('doc/protocol.md');
const blocks = readBlocks(FILE);

// What stands behind ```kvs, and the server that such blocks are played against.
const SERVERS = {
  '': { name: 'lighttpd-fastcgi', settings: { allow_origin: 'https://app.example' } },
  cgi: { name: 'lighttpd-cgi', settings: { stream_limit: 1 } },
};

for (const [kind, { name, settings }] of Object.entries(SERVERS)) {
  describe(`the examples against ${name}`, () => {
    let deployment = null;
    let player = null;
    let broken = null;
    before(async () => {
      deployment = await startDeployment(name, { settings });
      player = new Player(deployment);
    });
    for (const block of blocks.filter((one) => one.kind === kind)) {
      it(`line ${block.line}: ${block.heading}`, async () => {
        // Later examples build on earlier ones; the first that fails is the one to look at.
        assert.equal(broken, null, `an example before this one failed (${broken})`);
        broken = `line ${block.line}`;
        for (const exchange of block.exchanges) await player.play(exchange);
        broken = null;
      });
    }
    it('the server stops without an unexpected line in any log', async () => {
      assert.deepEqual(await deployment.stop(), []);
    });
    after(async () => {
      await deployment?.stop();
    });
  });
}

describe('the comparison itself', () => {
  const names = new Map([['known', '7']]);
  const differs = (expected, got) =>
    assert.throws(() => match(expected, got, new Map(names), 'here'), assert.AssertionError);

  it('tells what differs', () => {
    differs('{"a":1}', '{"a":2}');
    differs('{"a":1}', '{"a":1,"b":2}');
    differs('{"a":…}', '{"b":1}');
    differs('{"a":<known>}', '{"a":8}');
    differs('[<x>,<x>]', '[1,2]');
    differs('', 'x');
  });

  it('takes what is right, and learns names', () => {
    const learnt = new Map(names);
    match('{"a":…,"b":"<x>","c":<known>}', '{"a":{"z":[1]},"b":"q","c":7}', learnt, 'here');
    assert.equal(learnt.get('x'), 'q');
  });

  it('every block is of a kind that is played', () => {
    for (const block of blocks) assert.ok(block.kind in SERVERS, `line ${block.line}: ${block.kind}`);
  });
});

// The rows of core/dispatch.c: path, flags, parser.
function operations() {
  const table = /static const struct op table\[\] = \{([^]*?)\n\};/.exec(read('core/dispatch.c'))[1];
  return [...table.matchAll(/\{"([^"]+)", ([A-Z_ |]+), \w+, (\w+),/g)].map(([, name, flags, parser]) => ({
    name,
    flags: flags.split(' | '),
    parser,
  }));
}

// Heading → the text below it, up to the next heading.
function sections() {
  const found = new Map();
  for (const part of text.split(/^#+ /m).slice(1)) {
    const end = part.indexOf('\n');
    for (const name of part.slice(0, end).split(', ')) found.set(name, part.slice(end));
  }
  return found;
}

describe('nothing is missing', () => {
  const all = operations();
  const bySection = sections();

  it('the table of operations was found', () => assert.ok(all.length > 30, `${all.length}`));

  for (const { name, flags } of all) {
    it(`${name} has a section with an example`, () => {
      assert.ok(bySection.has(name), `no heading "### ${name}"`);
      const methods = flags.filter((flag) => flag === 'OP_GET' || flag === 'OP_POST').map((flag) => flag.slice(3));
      const shown = blocks
        .filter((block) => block.heading.split(', ').includes(name))
        .flatMap((block) => block.exchanges)
        .some((exchange) => exchange.path?.split('?')[0] === name && methods.includes(exchange.method));
      assert.ok(shown, `no example of ${name} below its heading`);
    });
  }

  it('there is no section of an operation that does not exist', () => {
    const known = new Set(all.map(({ name }) => name));
    for (const name of bySection.keys()) if (name.startsWith('/')) assert.ok(known.has(name), name);
  });

  // A status and code are one row of the table of errors.
  const rows = [...text.matchAll(/^\| ([0-9]{3}) \| `([a-z_]+)` \| \S/gm)].map(([, status, code]) => `${status} ${code}`);
  const errors = [...read('core/error.h').matchAll(/^ +X\(ERR_\w+, ([0-9]+), "([a-z_]+)"/gm)]
    .map(([, status, code]) => `${status} ${code}`)
    .filter((one) => one !== '200 ok');

  it('the table of errors was found', () => assert.ok(errors.length > 15, `${errors.length}`));
  for (const one of new Set(errors)) it(`${one} is explained`, () => assert.ok(rows.includes(one)));
  it('no error is explained that does not exist, and none twice', () => {
    assert.deepEqual(rows.filter((one) => !errors.includes(one)), []);
    assert.equal(new Set(rows).size, rows.length);
  });

  // The fields that an operation takes are documented in its section, in what introduces its group, or in a section that
  // one of these links to.
  const slug = (title) => title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replace(/ /g, '-');
  function textsFor(name) {
    const groups = text.split(/^## /m).slice(1);
    const isAbove = (line) => line.startsWith('### ') && line.slice(4).split(', ').includes(name);
    const group = groups.find((one) => one.split('\n').some(isAbove));
    const own = bySection.get(name) + group.split(/^### /m)[0];
    const linked = [...own.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
    return own + [...bySection].filter(([title]) => linked.includes(slug(title))).map(([, part]) => part).join('');
  }

  // What fields_open is given in an operation's parser, or in a static helper or list of its file that it names.
  const parsers = new Map();
  for (const file of fs.readdirSync(path.join(ROOT, 'core')).filter((one) => one.endsWith('.c'))) {
    const source = read(`core/${file}`);
    const pairs = (pattern) => new Map([...source.matchAll(pattern)].map(([, name, inside]) => [name, inside]));
    const functions = pairs(/^(?:static )?enum error_code (\w+)\([^]*?\)\n\{\n([^]*?)\n\}/gm);
    const lists = pairs(/^(?:static )?const char \*const (\w+)\[\] = \{([^}]*)\}/gm);
    for (const [name, body] of functions) {
      const found = new Set();
      const seen = new Set();
      const add = (list) => [...list.matchAll(/"(\w+)"/g)].forEach(([, field]) => found.add(field));
      const visit = (code) => {
        add([...code.matchAll(/\w+\[\] = \{([^}]*)\}/g)].map(([, list]) => list).join());
        for (const [word] of code.matchAll(/\bparse_\w+|\b\w+_(parse|names)\b|\breopen\b/g)) {
          if (seen.has(word)) continue;
          seen.add(word);
          add(lists.get(word) ?? '');
          if (functions.has(word)) visit(functions.get(word));
        }
      };
      visit(body);
      parsers.set(name, found);
    }
  }

  for (const { name, parser } of all.filter((one) => one.parser !== 'NULL')) {
    it(`${name}: every field is explained`, () => {
      const fields = parsers.get(parser);
      assert.ok(fields?.size > 0, `no fields found in ${parser}`);
      const where = textsFor(name);
      assert.deepEqual([...fields].filter((field) => !where.includes(`\`${field}\``)), []);
    });
  }

  it('every option of a bucket is explained', () => {
    const [, list] = /option_names\[\] = \{([^}]*)\}/.exec(read('core/bucket_options.c'));
    const options = [...list.matchAll(/"(\w+)"/g)].map(([, option]) => option);
    assert.ok(options.length > 10);
    for (const option of options) assert.match(text, new RegExp(`^\\| (\`\\w+\`, )*\`${option}\``, 'm'));
  });
});
