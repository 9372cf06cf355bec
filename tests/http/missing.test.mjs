// What is seen where something is missing: doc/hosting.md's tables, row by row, each with the set-up broken in that way.
// Mostly waits.  Takes about 20 s.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { describe, it } from 'node:test';

import { DEPLOYMENTS } from './lib/deployments.mjs';
import { startDeployment } from './lib/servers.mjs';
import { Session } from './lib/session.mjs';

const PAGE = fs.readFileSync(new URL('../../doc/hosting.md', import.meta.url), 'utf8');

// The rows below a heading, as lists of cells.
function table(heading) {
  const [, text] = PAGE.split(new RegExp(`^## ${heading}$`, 'm'));
  assert.ok(text, `no heading "${heading}"`);
  const rows = text.split(/^## /m)[0].split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(1).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1')));
}

const without = (line) => (text) => {
  assert.ok(text.includes(line), `"${line}" is in no line`);
  return text.replace(line, '');
};

const socketOf = (deployment) => deployment.file('kvs.sock');
const programOf = (deployment) =>
  ['bin/kvs.cgi', 'www/cgi-bin/kvs.cgi', 'www/kvs/kvs.cgi'].map((name) => deployment.file(name)).find((name) => fs.existsSync(name));

// How each is brought about: before the start in the configuration (edit), or after it (act).
const CAUSES = {
  'nobody listens on the socket': { act: (deployment) => deployment.stopFcgi('SIGTERM') },
  'the socket may not be opened': { act: (deployment) => fs.chmodSync(socketOf(deployment), 0) },
  'the program may not be run': { act: (deployment) => fs.chmodSync(programOf(deployment), 0o644) },
  'no `CGIPassAuth On`': { edit: without('CGIPassAuth On') },
};

// Runs act with the row's server, its configuration changed.
async function withServer(name, options, act) {
  const deployment = await startDeployment(name, { mount: DEPLOYMENTS[name].mounts?.[0], ...options });
  try {
    await act(deployment, new Session(deployment));
  } finally {
    await deployment.stop();
  }
}

describe('messages', () => {
  const rows = table('What is seen where something is missing');

  it('every kind of server is in the table', () => {
    const named = rows.map(([row]) => row.split('-')[0]);
    assert.deepEqual(Object.keys(DEPLOYMENTS).filter((name) => !named.includes(name.split('-')[0])), []);
  });

  for (const [name, cause, status, message, log] of rows) {
    it(`${name}: ${cause}`, async () => {
      const { edit, act } = CAUSES[cause];
      await withServer(name, { edit }, async (deployment, s) => {
        await act?.(deployment);
        const answer = await deployment.client.request({ path: '/kv/get', body: '{"key":["a"]}' });
        assert.equal(String(answer.status), status, answer.body.toString());
        if (message !== '') assert.ok(answer.text.includes(message), answer.text);
        const logged = () => deployment.logs().split('\n').some((line) => line.includes(log));
        if (log !== '') await s.until(`"${log}" in a log`, logged);
      });
    });
  }
});

// The parts of the answer to a listen, as they came.
function listenParts(s, topic) {
  const { client } = s;
  const headers = { Authorization: `Bearer ${client.token}`, 'Content-Type': 'application/json' };
  const path = `${client.mount}/queue/listen`;
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port: client.base.port, method: 'POST', path, headers }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part.toString()));
      response.on('close', () => resolve(parts));
    });
    request.on('error', reject);
    request.end(JSON.stringify({ topic }));
  });
}

describe('streams that a server holds back come when they are over', () => {
  for (const [name, setting] of table('What streams need')) {
    it(`${name} without ${setting}`, async () => {
      await withServer(name, { edit: without(setting), settings: { stream_limit: 2 } }, async (deployment, s) => {
        const topic = s.topic();
        await s.enqueue(topic, 'first');
        const parts = listenParts(s, topic);
        // It is with the server; FastCGI ends the stream when it is told to stop, CGI at its limit.
        await s.until('the message to be handed out', async () => (await s.stats(topic)).leased === 1);
        if (deployment.mode === 'fastcgi') await deployment.stopFcgi('SIGTERM');
        const [first] = await parts;
        assert.match(first, /"first"[^]*"type":"end"/);
      });
    });
  }
});

describe('without PATH_INFO', () => {
  it('the endpoint is found in the URL', async () => {
    const edit = (text) => without('fastcgi_param PATH_INFO $fastcgi_path_info;')(without('fastcgi_param SCRIPT_NAME "@MOUNT@";')(text));
    await withServer('nginx-fastcgi', { edit }, async (deployment, s) => {
      assert.deepEqual(await s.ok('/kv/get', { key: s.key('a') }), { entry: null });
      await s.fails('/kv/none', '{}', 404, 'not_found');
    });
  });

  it('where that is not passed on either, the answer is 404', async () => {
    const names = ['PATH_INFO $fastcgi_path_info', 'SCRIPT_NAME "@MOUNT@"', 'REQUEST_URI $request_uri'];
    const edit = (text) => names.reduce((less, name) => without(`fastcgi_param ${name};`)(less), text);
    await withServer('nginx-fastcgi', { edit, broken: true }, async (deployment, s) => {
      await s.fails('/kv/get', { key: s.key('a') }, 404, 'not_found');
    });
  });
});
