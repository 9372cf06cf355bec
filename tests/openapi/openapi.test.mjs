// GET /openapi.json against the public validator, the table of operations, and what the server really takes and answers.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

import { startDeployment } from '../http/lib/servers.mjs';
import { Session } from '../http/lib/session.mjs';

const table = fs.readFileSync(new URL('../../core/dispatch.c', import.meta.url), 'utf8');
const OPERATIONS = [...table.matchAll(/^ +\{"(\/[^"]+)",\s*([A-Z_| ]+),\s*SCOPE_([A-Z]+),/gm)].map(
  ([, path, flags, scope]) => ({
    path,
    methods: ['GET', 'POST'].filter((one) => new RegExp(`\\bOP_${one}\\b`).test(flags)).map((one) => one.toLowerCase()),
    scope: scope.toLowerCase(),
  }),
);
const JSON_TYPE = 'application/json';

describe('openapi', () => {
  let deployment = null;
  let document = null;
  let ajv = null;
  const session = () => new Session(deployment);

  before(async () => {
    deployment = await startDeployment('lighttpd-fastcgi');
    const answer = await deployment.client.request({
      method: 'GET',
      path: '/openapi.json',
      headers: { Authorization: null },
    });
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /^application\/json\b/);
    document = answer.json;
    ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats(ajv);
    ajv.addSchema(document, 'openapi.json');
  });

  // Whether data is what the schema at a place of the document says; the place as a list of names.
  function conforms(place, data, what) {
    const pointer = place.map((name) => name.replace(/~/g, '~0').replace(/\//g, '~1')).map(encodeURIComponent).join('/');
    const validate = ajv.compile({ $ref: `openapi.json#/${pointer}` });
    assert.ok(validate(data), `${what}: ${JSON.stringify(data).slice(0, 300)}\n${ajv.errorsText(validate.errors)}`);
  }
  const schemaOf = (path, part) => ['paths', path, 'post', ...part, 'content', JSON_TYPE, 'schema'];

  // Sends a request that the description allows; the answer must be as described.
  async function agreed(s, path, body) {
    conforms(schemaOf(path, ['requestBody']), body, `request ${path}`);
    const answer = await s.ok(path, body);
    conforms(schemaOf(path, ['responses', '200']), answer, `answer of ${path}`);
    return answer;
  }

  it('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    assert.ok(valid, JSON.stringify(errors, null, 1));
    assert.match(document.openapi, /^3\.1\./);
  });

  it('has every operation with its methods and scope, and no other', () => {
    assert.ok(OPERATIONS.length > 40, `${OPERATIONS.length}`);
    assert.deepEqual(Object.keys(document.paths).sort(), OPERATIONS.map(({ path }) => path).sort());
    const ids = new Set();
    for (const { path, methods, scope } of OPERATIONS) {
      assert.deepEqual(Object.keys(document.paths[path]), methods, path);
      for (const operation of Object.values(document.paths[path])) {
        assert.equal(operation['x-scope'], scope, path);
        assert.equal(operation.security !== undefined, scope === 'public', path);
        assert.ok(operation.summary.length > 5);
        assert.ok(!ids.has(operation.operationId), operation.operationId);
        ids.add(operation.operationId);
      }
    }
  });

  it('every reference leads somewhere, and every schema is used', () => {
    const used = new Set();
    const visit = (value) => {
      if (value === null || typeof value !== 'object') return;
      if (typeof value.$ref === 'string') {
        let at = document;
        for (const name of value.$ref.replace('#/', '').split('/')) at = at?.[name];
        assert.ok(at, value.$ref);
        used.add(value.$ref);
      }
      Object.values(value).forEach(visit);
    };
    visit(document);
    const schemas = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    assert.deepEqual(schemas.filter((name) => !used.has(name)), []);
  });

  it('every field described is one that the operation has', async () => {
    const s = session();
    for (const { path } of OPERATIONS.filter(({ methods }) => methods.includes('post'))) {
      const { properties } = document.paths[path].post.requestBody.content[JSON_TYPE].schema;
      const names = Object.keys(properties);
      if (names.length === 0) continue;
      // Names are judged before types: a type that none of them has.
      const body = Object.fromEntries(names.map((name) => [name, { none: 0 }]));
      const { message } = await s.fails(path, body, 400, 'bad_request');
      assert.doesNotMatch(message, /is not a field/, path);
    }
  });

  it('keys and values: requests and answers are as described', async () => {
    const s = session();
    const key = s.key('a', 1, true, { $bytes: 'AA==' }, { $bigint: '12345678901234567890' });
    await agreed(s, '/kv/set', { key, value: { any: [1, null] }, ttl: 100_000 });
    await agreed(s, '/kv/get', { key });
    await agreed(s, '/kv/get', { key: s.key('missing') });
    await agreed(s, '/kv/set', { key: s.key('bytes'), valueBase64: 'AAEC' });
    await agreed(s, '/kv/get-many', { keys: [key, s.key('bytes'), s.key('missing')] });
    const { revision } = await agreed(s, '/kv/create', { key: s.key('n'), value: 1 });
    await agreed(s, '/kv/update', { key: s.key('n'), value: 2, revision });
    await agreed(s, '/kv/increment', { key: s.key('n'), delta: 1.5 });
    await agreed(s, '/kv/touch', { key: s.key('n'), ttl: 0 });
    await agreed(s, '/kv/list', { prefix: s.key(), limit: 1, reverse: true });
    await agreed(s, '/kv/keys', { filter: [`${s.space}.>`], limit: 1 });
    await agreed(s, '/kv/history', { key: s.key('n') });
    await agreed(s, '/kv/delete', { key: s.key('n') });
    await agreed(s, '/kv/get', { key: s.key('n'), markers: true });
    await agreed(s, '/kv/changes', { since: 0, prefix: s.key(), metaOnly: true });
    await agreed(s, '/kv/changes', { since: 0, filter: `${s.space}.>`, ignoreDeletes: true, limit: 1 });
    await agreed(s, '/kv/purge', { prefix: s.key() });
    await agreed(s, '/kv/atomic', {
      checks: [{ key: s.key('x'), version: null }],
      mutations: [
        { type: 'set', key: s.key('x'), value: 1 },
        { type: 'increment', key: s.key('x'), delta: 2 },
        { type: 'touch', key: s.key('x'), ttl: 5000 },
        { type: 'purge', key: s.key('y') },
      ],
      enqueues: [{ payload: 1, options: { topic: s.oneTopic(), backoff: [1, 2] } }],
    });
    await agreed(s, '/kv/atomic', { checks: [{ key: s.key('x'), revision: null }] });
  });

  it('the queue and locks: requests and answers are as described', async () => {
    const s = session();
    const topic = s.topic();
    await agreed(s, '/queue/enqueue', { topic, payload: null, priority: -1, dedupeId: 'd', maxAttempts: 1 });
    await agreed(s, '/queue/enqueue', { topic, payload: null, dedupeId: 'd' });
    await agreed(s, '/queue/enqueue-many', { messages: [{ topic, payloadBase64: 'AA==' }, { topic, payload: 2 }] });
    await agreed(s, '/queue/stats', { topic });
    const { messages } = await agreed(s, '/queue/dequeue', { topic, limit: 3, leaseMs: 60_000 });
    const [first, second, third] = messages.map(({ id, lease }) => ({ id, lease }));
    await agreed(s, '/queue/extend', { ...first, leaseMs: 1000 });
    await agreed(s, '/queue/ack', first);
    await agreed(s, '/queue/ack-many', { acks: [second] });
    await agreed(s, '/queue/nack', { ...third, delay: 0 });
    await agreed(s, '/queue/dead', { topic });
    await agreed(s, '/queue/redrive', { topic });
    await agreed(s, '/queue/discard', { topic, ids: [1] });
    await agreed(s, '/queue/purge', { topic });
    await agreed(s, '/queue/stats', {});
    const name = s.topic();
    const { token } = await agreed(s, '/lock/acquire', { name, ttl: 10_000, owner: 'me' });
    await agreed(s, '/lock/acquire', { name, ttl: 10_000 });
    await agreed(s, '/lock/renew', { name, token, ttl: 1000 });
    await agreed(s, '/lock/release', { name, token });
    await agreed(s, '/lock/release', { name, token });
  });

  it('buckets and the whole: requests and answers are as described', async () => {
    const s = session();
    const options = { history: 3, metadata: { a: 'b' }, republish: { filter: '>', topic: 't', metaOnly: true } };
    await agreed(s, '/bucket/create', { name: 'described', options });
    await agreed(s, '/bucket/update', { name: 'described', options: { ttl: 1000, republish: null } });
    await agreed(s, '/bucket/status', { name: 'described' });
    await agreed(s, '/bucket/list', {});
    await agreed(s, '/bucket/purge', { name: 'described' });
    await agreed(s, '/bucket/purge-deletes', { name: 'described', olderThan: 0 });
    await agreed(s, '/bucket/destroy', { name: 'described' });
    await agreed(s, '/kv/clean-expired', {});
    await agreed(s, '/kv/reset', {});
    const health = (await deployment.client.request({ method: 'GET', path: '/health' })).json;
    const schema = ['responses', '200', 'content', JSON_TYPE, 'schema'];
    conforms(['paths', '/health', 'get', ...schema], health, '/health');
    conforms(['paths', '/openapi.json', 'get', ...schema], document, '/openapi.json');
  });

  it('errors are as described', async () => {
    const s = session();
    const error = ['components', 'schemas', 'Error'];
    await s.set(s.key('a'), 1);
    const wrong = [
      ['/kv/get', {}],
      ['/kv/create', { key: s.key('a'), value: 1 }],
      ['/kv/update', { key: s.key('b'), value: 1, version: 3 }],
      ['/kv/none', {}],
    ];
    for (const [path, body] of wrong) conforms(error, (await s.post(path, body)).json, path);
  });

  it('stops without an unexpected line in any log', async () => assert.deepEqual(await deployment.stop(), []));
  after(async () => {
    await deployment?.stop();
  });
});
