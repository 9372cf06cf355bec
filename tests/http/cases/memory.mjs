// Buckets with storage "memory": the same operations, in a file of their own; nothing spans both kinds.
import assert from 'node:assert/strict';

import { del, makeBucket, setAll, status } from '../lib/bucket.mjs';
import { watch } from '../lib/stream.mjs';

export const title = 'storage memory';

export function cases(test) {
  test('a memory bucket does what every bucket does', async (s) => {
    const bucket = await makeBucket(s, { storage: 'memory', history: 3, ttl: 0 });
    const first = await s.set(['a'], 1, { bucket });
    assert.equal(first.version, 1);
    assert.deepEqual(await s.set(['a'], 2, { bucket }), { ok: true, version: 2, revision: first.revision + 1 });
    assert.equal((await s.ok('/kv/increment', { bucket, key: ['a'] })).value, 3);
    assert.equal((await s.get(['a'], { bucket })).value, 3);
    assert.deepEqual((await s.ok('/kv/list', { bucket, prefix: [] })).entries.map(({ key }) => key), [['a']]);
    assert.equal((await s.ok('/kv/history', { bucket, key: ['a'] })).entries.length, 3);
    await s.fails('/kv/create', { bucket, key: ['a'], value: 1 }, 409, 'conflict');
    const { revision } = await del(s, bucket, ['a']);
    const got = await status(s, bucket);
    assert.deepEqual([got.storage, got.keys, got.values, got.revision], ['memory', 0, 3, revision]);
    const listed = (await s.ok('/bucket/list', {})).buckets.find(({ name }) => name === bucket);
    assert.deepEqual([listed.values, listed.revision], [3, revision]);
    assert.equal((await s.ok('/bucket/purge-deletes', { name: bucket, olderThan: 0 })).purged, 1);
    assert.deepEqual((await s.ok('/kv/changes', { bucket, since: revision })).entries, []);
  });

  test('its options can be changed, and its limits hold', async (s) => {
    const bucket = await makeBucket(s, { storage: 'memory', maxKeys: 1 });
    await s.set(['a'], 1, { bucket });
    await s.fails('/kv/set', { bucket, key: ['b'], value: 1 }, 507, 'full');
    assert.equal((await s.ok('/bucket/update', { name: bucket, options: { maxKeys: 2, history: 2 } })).bucket.maxKeys, 2);
    await s.set(['b'], 1, { bucket });
    await s.set(['b'], 2, { bucket });
    assert.equal((await s.ok('/kv/history', { bucket, key: ['b'] })).entries.length, 2);
    await s.fails('/kv/set', { bucket, key: ['c'], value: 1 }, 507, 'full');
    await s.fails('/bucket/update', { name: bucket, options: { storage: 'file' } }, 400, 'bad_request', 'options.storage');
  });

  test('atomic operations work inside it, and are refused over both kinds', async (s) => {
    const bucket = await makeBucket(s, { storage: 'memory' });
    const mutations = [{ type: 'set', key: ['a'], value: 1 }, { type: 'set', key: ['b'], value: 2 }];
    const { ok, revision } = await s.ok('/kv/atomic', { bucket, checks: [{ key: ['a'], version: null }], mutations });
    assert.equal(ok, true);
    const topic = s.topic();
    const enqueues = [{ payload: 1, options: { topic } }];
    await s.fails('/kv/atomic', { bucket, mutations, enqueues }, 400, 'bad_request', /^enqueues/);
    const id = await s.enqueue(topic, 'one');
    const { lease } = await s.take(topic);
    await s.fails('/kv/atomic', { bucket, mutations, acks: [{ id, lease }] }, 400, 'bad_request', /^acks/);
    assert.equal((await status(s, bucket)).revision, revision);
    assert.deepEqual(await s.ok('/queue/ack', { id, lease }), { ok: true });
    assert.deepEqual(await s.dequeue(topic), []);
  });

  test('republish needs the durable file and is refused', async (s) => {
    const options = { storage: 'memory', republish: { topic: 't' } };
    await s.fails('/bucket/create', { name: `${s.space}-r`, options }, 400, 'bad_request', 'options.republish');
    const bucket = await makeBucket(s, { storage: 'memory' });
    const change = { name: bucket, options: { republish: { topic: 't' } } };
    await s.fails('/bucket/update', change, 400, 'bad_request', 'options.republish');
  });

  test('watchers see its changes', async (s) => {
    const bucket = await makeBucket(s, { storage: 'memory' });
    await setAll(s, bucket, [['a']]);
    await watch(s, { bucket }, async (stream) => {
      assert.equal((await stream.initial()).length, 1);
      await setAll(s, bucket, [['b'], ['c']]);
      assert.deepEqual((await stream.entries(2)).map(({ key }) => key), [['b'], ['c']]);
    });
  });

  test('revisions go on where it is destroyed and created again, and reset empties it', async (s) => {
    const bucket = await makeBucket(s, { storage: 'memory' });
    const [first] = await setAll(s, bucket, [['a']]);
    await s.ok('/bucket/destroy', { name: bucket });
    await s.fails('/kv/get', { bucket, key: ['a'] }, 404, 'no_bucket');
    await s.ok('/bucket/create', { name: bucket, options: { storage: 'memory' } });
    assert.equal(await s.get(['a'], { bucket }), null);
    const [second] = await setAll(s, bucket, [['a']]);
    assert.ok(second > first);
    await s.ok('/kv/reset');
    assert.equal(await s.get(['a'], { bucket, markers: true }), null);
    const [third] = await setAll(s, bucket, [['a']]);
    assert.ok(third > second);
  });
}
