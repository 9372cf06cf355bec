// The same cases under Bun and Deno, and in Chromium from another origin.  With --long only.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startServer } from './lib/deployment.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROOT = path.resolve(HERE, '../..');
const BIN = path.join(HERE, 'runtimes/node_modules/.bin');
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => fs.existsSync(file));
const LIMIT_MS = 300_000;

// What of the tree a page may load.
function startPages(server, done) {
  const types = { '.html': 'text/html', '.mjs': 'text/javascript', '.js': 'text/javascript' };
  const pages = http.createServer((req, res) => {
    if (req.url === '/results') {
      let text = '';
      req.on('data', (chunk) => (text += chunk));
      req.on('end', () => {
        res.end();
        done(JSON.parse(text));
      });
      return;
    }
    if (req.url === '/server.json') {
      res.end(JSON.stringify({ url: server.url, token: server.token }));
      return;
    }
    const file = path.join(ROOT, path.normalize(req.url));
    if (!/^\/(client\/dist|tests\/client)\//.test(req.url) || !fs.existsSync(file)) {
      res.writeHead(404).end();
      return;
    }
    res.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'text/plain' }).end(fs.readFileSync(file));
  });
  return new Promise((resolve) => pages.listen(0, '127.0.0.1', () => resolve(pages)));
}

describe('other runtimes', { skip: !process.env.KVS_LONG && 'with --long only' }, () => {
  let server;
  before(async () => {
    server = await startServer({ settings: { allow_origin: '*' } });
  });
  after(async () => {
    await server?.stop();
  });

  const RUNTIMES = { bun: ['run'], deno: ['run', '--no-prompt', '--allow-net', '--allow-env', '--allow-read'] };
  for (const [name, args] of Object.entries(RUNTIMES)) {
    test(`all cases under ${name}`, { timeout: LIMIT_MS }, async () => {
      const env = { ...process.env, KVS_TEST_URL: server.url, KVS_TEST_TOKEN: server.token, NO_COLOR: '1' };
      const output = await new Promise((resolve) => {
        execFile(path.join(BIN, name), [...args, path.join(HERE, 'lib/main.mjs')], { env, timeout: LIMIT_MS }, (error, stdout, stderr) =>
          resolve(`${stdout}${error ? `# ${error.message}\n${stderr}` : ''}`));
      });
      assert.match(output, /^1\.\.[1-9]\d+$/m, output.slice(-2000));
      assert.doesNotMatch(output, /^not ok/m, output);
    });
  }

  test('all cases in Chromium, from another origin', { timeout: LIMIT_MS }, async () => {
    assert.ok(CHROMIUM, 'chromium is installed');
    let done;
    const finished = new Promise((resolve) => (done = resolve));
    const pages = await startPages(server, done);
    const profile = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'kvs-chromium-'));
    const browser = spawn(CHROMIUM, ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
      '--disable-background-networking', `--user-data-dir=${profile}`, `http://127.0.0.1:${pages.address().port}/tests/client/lib/page.html`],
      { stdio: 'ignore' });
    const exited = new Promise((resolve) => browser.once('exit', resolve));
    try {
      const results = await Promise.race([finished, exited.then((code) => assert.fail(`chromium exited with ${code}`))]);
      assert.ok(results.length > 40);
      assert.deepEqual(results.filter(({ error }) => error), []);
    } finally {
      browser.kill();
      await exited;
      pages.closeAllConnections();
      pages.close();
      fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    }
  });
});
