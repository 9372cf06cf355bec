// republish: every matching change is also a message, in the same transaction.
import assert from 'node:assert/strict';

import { del, makeBucket } from '../lib/bucket.mjs';

export const title = 'republish';

async function published(s, topic) {
  const messages = await s.dequeue(topic, { limit: 1000 });
  return messages.map(({ payload }) => payload);
}

export function cases(test) {
  test('each change is a message with the bucket and the entry as a watch sends it', async (s) => {
    const topic = s.topic();
    const bucket = await makeBucket(s, { republish: { topic } });
    await s.set(['a'], { x: 1 }, { bucket });
    const set = await s.get(['a'], { bucket });
    await s.ok('/kv/set', { bucket, key: ['b'], valueBase64: 'AAE=' });
    const bytes = await s.get(['b'], { bucket });
    await del(s, bucket, ['a']);
    const marker = await s.get(['a'], { bucket, markers: true });
    await s.ok('/kv/purge', { bucket, key: ['b'] });
    const purged = await s.get(['b'], { bucket, markers: true });
    const entries = [set, bytes, marker, purged];
    assert.deepEqual(await published(s, topic), entries.map((entry) => ({ bucket, entry })));
  });

  test('payloads hold values exactly as they were sent', async (s) => {
    const topic = s.topic();
    const bucket = await makeBucket(s, { republish: { topic }, compression: true });
    const value = `{"n":1.0,"s":"\\u0000\\ud800${'x'.repeat(500)}"}`;
    await s.ok('/kv/set', `{"bucket":"${bucket}","key":["a"],"value":${value}}`);
    const answer = await s.sent('/queue/dequeue', { topic });
    assert.equal(answer.raw('messages', 0, 'payload', 'entry', 'value'), value);
  });

  test('filter chooses, metaOnly leaves the value out', async (s) => {
    const topic = s.topic();
    const bucket = await makeBucket(s, { republish: { filter: ['a.*', 'b'], topic, metaOnly: true } });
    for (const key of [['a'], ['a', 1], ['b'], ['a', 'x', 'y']]) await s.set(key, 'four', { bucket });
    const payloads = await published(s, topic);
    assert.deepEqual(payloads.map(({ entry }) => entry.key), [['a', 1], ['b']]);
    for (const { entry } of payloads) assert.deepEqual([entry.length, 'value' in entry], [6, false]);
  });

  test('change and message are both there or neither', async (s) => {
    const topic = s.topic();
    const bucket = await makeBucket(s, { republish: { topic }, maxKeys: 2 });
    await s.set(['a'], 1, { bucket });
    const checks = [{ key: ['a'], version: null }];
    const mutations = [{ type: 'set', key: ['a'], value: 2 }];
    assert.equal((await s.ok('/kv/atomic', { bucket, checks, mutations })).ok, false);
    const over = ['b', 'c', 'd'].map((name) => ({ type: 'set', key: [name], value: 1 }));
    await s.fails('/kv/atomic', { bucket, mutations: over }, 507, 'full');
    await s.fails('/kv/create', { bucket, key: ['a'], value: 1 }, 409, 'conflict');
    await s.fails('/kv/atomic', { bucket, mutations, acks: [{ id: 1, lease: 'x' }] }, 409, 'conflict');
    assert.equal((await published(s, topic)).length, 1);
    const both = [{ type: 'set', key: ['a'], value: 3 }, { type: 'set', key: ['b'], value: 4 }];
    const { revision } = await s.ok('/kv/atomic', { bucket, mutations: both });
    const payloads = await published(s, topic);
    assert.deepEqual(payloads.map(({ entry }) => [entry.value, entry.revision]), [[3, revision], [4, revision]]);
  });

  test('touch, increment and expiry are changes too', async (s) => {
    const topic = s.topic();
    const bucket = await makeBucket(s, { republish: { topic } });
    await s.ok('/kv/increment', { bucket, key: ['n'] });
    await s.ok('/kv/touch', { bucket, key: ['n'], ttl: 1 });
    await s.until('the expiry', async () => (await s.get(['n'], { bucket })) === null);
    await s.ok('/kv/clean-expired');
    const payloads = await published(s, topic);
    assert.deepEqual(payloads.map(({ entry }) => entry.operation ?? entry.value), [1, 1, 'EXPIRE']);
  });

  test('a changed rule counts from its change on', async (s) => {
    const [first, second] = [s.topic(), s.topic()];
    const bucket = await makeBucket(s, { republish: { topic: first } });
    await s.set(['a'], 1, { bucket });
    await s.ok('/bucket/update', { name: bucket, options: { republish: { topic: second } } });
    await s.set(['a'], 2, { bucket });
    await s.ok('/bucket/update', { name: bucket, options: { republish: null } });
    await s.set(['a'], 3, { bucket });
    const values = async (topic) => (await published(s, topic)).map(({ entry }) => entry.value);
    assert.deepEqual([await values(first), await values(second)], [[1], [2]]);
  });
}
