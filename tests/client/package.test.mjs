// What is published: its files, its size, its types; that it installs; and that every example of the README runs.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startServer } from './lib/deployment.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CLIENT = path.join(ROOT, 'client');
const TSC = path.join(CLIENT, 'node_modules/typescript/bin/tsc');
const STRICT = { strict: true, noUncheckedIndexedAccess: true, exactOptionalPropertyTypes: true, target: 'es2022', types: [],
  module: 'nodenext', lib: ['es2022', 'dom', 'dom.asynciterable', 'esnext.disposable'] };

// Compiles files in dir, all at once; gives what the compiler says of each.
function compile(dir, files) {
  fs.writeFileSync(path.join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions: STRICT, files }));
  const { stdout } = spawnSync(process.execPath, [TSC, '-p', '.'], { cwd: dir, encoding: 'utf8' });
  return (file) => stdout.split('\n').filter((line) => line.startsWith(file)).join('\n');
}

const npm = (args, cwd) =>
  execFileSync('npm', [...args, '--ignore-scripts', '--no-update-notifier'], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

// The TypeScript examples of a document that use the client.
function examples(file) {
  const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
  const codes = [...text.matchAll(/^```(?:ts|js)\n([^]*?)^```$/gm)].map(([, code]) => code);
  return codes.filter((code) => code.includes('kvs-client')).map((code, at) => {
    return { title: `${file}: example ${at + 1}`, code, source: `${file.replaceAll('/', '-')}-${at + 1}.ts` };
  });
}

const EXAMPLES = ['client/README.md', 'README.md'].flatMap(examples);

describe('the package', () => {
  let dir;
  let server;
  let complaints;
  before(async () => {
    dir = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-client-'));
    server = await startServer({ mount: '/' });
    const [{ filename }] = JSON.parse(npm(['pack', '--json', '--pack-destination', dir], CLIENT));
    fs.writeFileSync(path.join(dir, 'package.json'), '{"type":"module","private":true}\n');
    npm(['install', '--offline', '--no-audit', '--no-fund', path.join(dir, filename)], dir);
    fs.copyFileSync(path.join(CLIENT, 'test/types.ts'), path.join(dir, 'types.ts'));
    for (const { code, source } of EXAMPLES) {
      const here = code.replaceAll('http://127.0.0.1:3000', server.url).replaceAll('"secret"', JSON.stringify(server.token));
      fs.writeFileSync(path.join(dir, source), `declare const console: { log(...values: unknown[]): void };\n${here}`);
    }
    complaints = compile(dir, ['types.ts', ...EXAMPLES.map(({ source }) => source)]);
  });
  after(async () => {
    assert.deepEqual(await server?.stop(), []);
    fs.rmSync(dir, { recursive: true, force: true });
  });

  test('holds what users need and no more, in less than 60 kB', () => {
    const [{ files, unpackedSize }] = JSON.parse(npm(['pack', '--dry-run', '--json'], CLIENT));
    assert.deepEqual(files.map((file) => file.path).sort(),
      ['LICENSE', 'README.md', 'dist/index.d.ts', 'dist/index.js', 'package.json']);
    assert.ok(unpackedSize < 60_000, `${unpackedSize} bytes`);
  });

  test('has no dependency, and a lock file that names no host', () => {
    const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(fs.readFileSync(path.join(CLIENT, 'package.json')));
    assert.deepEqual([dependencies, optionalDependencies, peerDependencies], [undefined, undefined, undefined]);
    assert.doesNotMatch(fs.readFileSync(path.join(CLIENT, 'package-lock.json'), 'utf8'), /https?:\/\/|"resolved"/);
  });

  test('declares no any', () => {
    const text = fs.readFileSync(path.join(CLIENT, 'dist/index.d.ts'), 'utf8');
    assert.doesNotMatch(text.replace(/\/\*\*[^]*?\*\//g, ''), /\bany\b/);
  });

  test('its types hold under the strictest flags, and refuse what is wrong', () => {
    assert.equal(complaints('types.ts'), '');
    assert.equal(complaints('node_modules'), '');
  });

  test('exports what it declares', async () => {
    const kvs = await import(path.join(dir, 'node_modules/kvs-client/dist/index.js'));
    assert.deepEqual(Object.keys(kvs).sort(), ['Base64KeyCodec', 'JSONCodec', 'JsonText', 'KvWatchInclude', 'KvsClient',
      'KvsError', 'NoopKvCodecs', 'StringCodec', 'isKvsError']);
  });

  for (const { title, code, source } of EXAMPLES) {
    test(`${title} type-checks, runs and prints what it says`, { timeout: 60_000 }, async () => {
      assert.equal(complaints(source), '');
      const wanted = [...code.matchAll(/console\.log\(.*\);\s*\/\/ (.*)$/gm)].map(([, text]) => text);
      const output = await new Promise((resolve, reject) => {
        const script = source.replace(/ts$/, 'js');
        execFile(process.execPath, [script], { cwd: dir, timeout: 30_000 }, (error, stdout, stderr) =>
          error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(stdout));
      });
      assert.deepEqual(output.trimEnd().split('\n').filter(Boolean), wanted);
    });
  }
});
