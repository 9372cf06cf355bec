// Whatever README.md and doc/ name is there.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const list = (dir) => fs.readdirSync(path.join(ROOT, dir), { withFileTypes: true });
const DOCS = list('doc').filter((entry) => entry.name.endsWith('.md'));
const FILES = ['README.md', ...DOCS.map((entry) => `doc/${entry.name}`)];
const TOP = list('.').filter((entry) => entry.isDirectory()).map((entry) => entry.name);
const PAGES = list('doc/man').map((entry) => entry.name.replace(/\.in$/, '').replace(/\.[0-9]$/, ''));

// As GitHub makes them of headings.
function anchors(text) {
  const found = [...text.replace(/^```[^]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)];
  return found.map(([, title]) => title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, '').replace(/ /g, '-'));
}

// A name such as tests/{a,b}/c stands for two.
function expand(name) {
  const found = /^(.*)\{([^}]*)\}(.*)$/.exec(name);
  return found ? found[2].split(',').flatMap((one) => expand(found[1] + one + found[3])) : [name];
}

for (const file of FILES) {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  const prose = text.replace(/^```[^]*?^```/gm, '');

  it(`${file}: every link leads somewhere`, () => {
    for (const [, link] of prose.matchAll(/\]\(([^)]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [name, anchor] = link.split('#');
      const target = name === '' ? path.join(ROOT, file) : path.join(ROOT, path.dirname(file), name);
      assert.ok(fs.existsSync(target), `${link}: there is no such file`);
      if (anchor === undefined) continue;
      const known = anchors(fs.readFileSync(target, 'utf8'));
      assert.ok(known.includes(anchor), `${link}: there is no such heading`);
    }
  });

  it(`${file}: every file named is there`, () => {
    const named = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
    const run = [...text.matchAll(/^(?:[A-Z_]+=\S+ )*(\.\/[\w/-]+)/gm)].map(([, command]) => command);
    for (const code of [...named, ...run]) {
      const name = code.replace(/^\.\//, '').replace(/\/$/, '');
      if (!/^[\w.{},/-]+\/[\w.{},/-]+$/.test(name) || !TOP.includes(name.split('/')[0])) continue;
      for (const one of expand(name)) assert.ok(fs.existsSync(path.join(ROOT, one)), `${one}: there is no such file`);
    }
  });

  it(`${file}: every manual page named is there`, () => {
    for (const [, first, more] of text.matchAll(/`man ([^`]+)`((?:, `[^`]+`)*)/g)) {
      for (const page of [first, ...[...more.matchAll(/`([^`]+)`/g)].map(([, name]) => name)]) {
        assert.ok(PAGES.includes(page), `man ${page}: there is no such page`);
      }
    }
  });
}
