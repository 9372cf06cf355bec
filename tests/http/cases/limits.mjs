// Limits of a bucket, and compression, which may change the stored bytes only.
import assert from 'node:assert/strict';

import { del, makeBucket, status } from '../lib/bucket.mjs';

export const title = 'limits and compression';

const text = (n) => 'x'.repeat(n - 2); // n bytes as JSON
const noise = (n) => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7919 + (i >> 3) * 31) & 255)).toString('base64');

function limitCases(test) {
  test('maxValueSize is inclusive, for JSON text and for bytes, and refuses with 413', async (s) => {
    const bucket = await makeBucket(s, { maxValueSize: 100 });
    await s.set(['a'], text(100), { bucket });
    const { revision } = await s.ok('/kv/set', { bucket, key: ['b'], valueBase64: noise(100) });
    const error = await s.fails('/kv/set', { bucket, key: ['a'], value: text(101) }, 413, 'too_large');
    assert.match(error.message, /\b100\b/);
    await s.fails('/kv/create', { bucket, key: ['c'], valueBase64: noise(101) }, 413, 'too_large');
    const mutations = [{ type: 'set', key: ['d'], value: 1 }, { type: 'set', key: ['e'], value: text(101) }];
    await s.fails('/kv/atomic', { bucket, mutations }, 413, 'too_large');
    assert.equal(await s.get(['d'], { bucket }), null);
    assert.equal((await status(s, bucket)).revision, revision);
    assert.equal((await s.get(['a'], { bucket })).value, text(100));
  });

  test('maxKeys refuses one more with 507 and changes nothing; what does not grow passes', async (s) => {
    const bucket = await makeBucket(s, { maxKeys: 2 });
    await s.set(['a'], 1, { bucket });
    const { revision } = await s.set(['b'], 1, { bucket });
    await s.fails('/kv/set', { bucket, key: ['c'], value: 1 }, 507, 'full');
    await s.fails('/kv/increment', { bucket, key: ['c'] }, 507, 'full');
    const grow = [{ type: 'set', key: ['a'], value: 2 }, { type: 'set', key: ['c'], value: 1 }];
    await s.fails('/kv/atomic', { bucket, mutations: grow }, 507, 'full');
    assert.equal((await status(s, bucket)).revision, revision);
    assert.equal((await s.get(['a'], { bucket })).value, 1);
    await s.set(['a'], 3, { bucket });
    await del(s, bucket, ['a']);
    await s.set(['c'], 1, { bucket });
    const swap = [{ type: 'delete', key: ['b'] }, { type: 'set', key: ['d'], value: 1 }];
    assert.equal((await s.ok('/kv/atomic', { bucket, mutations: swap })).ok, true);
  });

  test('an atomic operation is judged by what it leaves, whatever the order of its mutations', async (s) => {
    const bucket = await makeBucket(s, { maxKeys: 2, maxBytes: 3000 });
    await s.set(['a'], text(1000), { bucket });
    const { revision } = await s.set(['b'], text(1000), { bucket });
    const swap = [{ type: 'set', key: ['c'], value: text(1500) }, { type: 'purge', key: ['a'] }];
    const over = [{ type: 'set', key: ['d'], value: 1 }, ...swap];
    await s.fails('/kv/atomic', { bucket, mutations: over }, 507, 'full', 'mutations');
    const large = [{ type: 'set', key: ['c'], value: text(2500) }, { type: 'purge', key: ['a'] }];
    await s.fails('/kv/atomic', { bucket, mutations: large }, 507, 'full');
    assert.equal((await status(s, bucket)).revision, revision);
    assert.equal((await s.ok('/kv/atomic', { bucket, mutations: swap })).ok, true);
    assert.equal(await s.get(['a'], { bucket }), null);
    assert.equal((await s.get(['c'], { bucket })).value, text(1500));
    await s.fails('/kv/set', { bucket, key: ['a'], value: 1 }, 507, 'full');
  });

  test('what a touch or a deletion adds to the history is nobody\'s growth', async (s) => {
    const bucket = await makeBucket(s, { history: 2 });
    for (const key of ['a', 'b', 'b', 'c']) await s.set([key], 'same', { bucket });
    const { bytes } = await status(s, bucket);
    await s.ok('/bucket/update', { name: bucket, options: { maxBytes: bytes } });
    const same = { type: 'set', key: ['b'], value: 'else' };
    for (const first of [{ type: 'touch', key: ['c'], ttl: 0 }, { type: 'delete', key: ['a'] }]) {
      assert.equal((await s.ok('/kv/atomic', { bucket, mutations: [first, same] })).ok, true);
    }
    const larger = { type: 'set', key: ['b'], value: 'larger' };
    await s.fails('/kv/atomic', { bucket, mutations: [{ type: 'touch', key: ['c'], ttl: 0 }, larger] }, 507, 'full', 'mutations');
  });

  test('expired keys do not count', async (s) => {
    const bucket = await makeBucket(s, { maxKeys: 1 });
    await s.set(['a'], 1, { bucket, ttl: 1 });
    await s.until('the expiry', async () => (await s.get(['a'], { bucket })) === null);
    await s.set(['b'], 1, { bucket });
    await s.fails('/kv/set', { bucket, key: ['c'], value: 1 }, 507, 'full');
  });

  test('expired bytes do not count', async (s) => {
    const bucket = await makeBucket(s, { maxBytes: 2000 });
    await s.set(['a'], text(1500), { bucket, ttl: 1 });
    await s.until('the expiry', async () => (await s.get(['a'], { bucket })) === null);
    await s.set(['b'], text(1500), { bucket });
    await s.fails('/kv/set', { bucket, key: ['c'], value: text(1500) }, 507, 'full');
  });

  test('maxBytes refuses what would grow over it; equal and smaller values pass where it is full', async (s) => {
    const bucket = await makeBucket(s, { maxBytes: 2000 });
    await s.set(['a'], text(1000), { bucket });
    await s.fails('/kv/set', { bucket, key: ['b'], value: text(1500) }, 507, 'full');
    await s.fails('/kv/set', { bucket, key: ['a'], value: text(2500) }, 507, 'full');
    assert.equal((await s.get(['a'], { bucket })).value, text(1000));
    await s.ok('/bucket/update', { name: bucket, options: { maxBytes: 500 } });
    await s.fails('/kv/set', { bucket, key: ['b'], value: 1 }, 507, 'full');
    await s.fails('/kv/set', { bucket, key: ['a'], value: text(1001) }, 507, 'full');
    await s.set(['a'], text(1000), { bucket });
    await s.set(['a'], text(900), { bucket });
    await del(s, bucket, ['a']);
    await s.set(['b'], 1, { bucket });
  });

  test('a limit of 0 lets nothing in, and -1 is none', async (s) => {
    await s.fails('/kv/set', { bucket: await makeBucket(s, { maxKeys: 0 }), key: ['a'], value: 1 }, 507, 'full');
    await s.fails('/kv/set', { bucket: await makeBucket(s, { maxValueSize: 0 }), key: ['a'], value: 1 }, 413, 'too_large');
    await s.set(['a'], text(5000), { bucket: await makeBucket(s, { maxKeys: -1, maxBytes: -1, maxValueSize: -1 }) });
  });
}

// JSON texts that a careless pass through a parser or a compressor would change.
const TEXTS = [
  '1.0',
  `"${'a'.repeat(254)}"`,
  `"${'a'.repeat(255)}"`,
  `[${Array(200).fill('1.0').join(',')}]`,
  `"\\u0000\\ud800${'ü€😀\\n'.repeat(200)}"`,
  `{"a":${'9'.repeat(400)},"a":"twice","b":1e400}`,
  `"${'long '.repeat(40_000)}"`,
];

function compressionCases(test) {
  test('compressed values come back byte for byte, in every read', async (s) => {
    const bucket = await makeBucket(s, { compression: true, history: 3 });
    for (const [i, value] of TEXTS.entries()) {
      const body = `{"bucket":"${bucket}","key":["t",${i}],"value":${value}}`;
      await s.ok('/kv/set', body);
      const key = ['t', i];
      assert.equal((await s.sent('/kv/get', { bucket, key })).raw('entry', 'value'), value);
      const page = await s.sent('/kv/list', { bucket, prefix: ['t'], start: key });
      assert.equal(page.raw('entries', 0, 'value'), value);
      assert.equal((await s.sent('/kv/history', { bucket, key })).raw('entries', 0, 'value'), value);
      assert.equal((await s.sent('/kv/changes', { bucket, since: i })).raw('entries', 0, 'value'), value);
    }
    for (const valueBase64 of [noise(300), noise(70_000), Buffer.alloc(257).toString('base64')]) {
      await s.ok('/kv/set', { bucket, key: ['bytes'], valueBase64 });
      assert.equal((await s.get(['bytes'], { bucket })).valueBase64, valueBase64);
    }
  });

  test('limits and lengths are of the bytes that were sent', async (s) => {
    const bucket = await makeBucket(s, { compression: true, maxValueSize: 1000 });
    await s.set(['a'], text(1000), { bucket });
    await s.fails('/kv/set', { bucket, key: ['a'], value: text(1001) }, 413, 'too_large');
    const { entries } = await s.ok('/kv/changes', { bucket, since: 0, metaOnly: true });
    assert.equal(entries[0].length, 1000);
    const small = await makeBucket(s, { compression: true, maxBytes: 1000 });
    await s.fails('/kv/set', { bucket: small, key: ['a'], value: text(5000) }, 507, 'full');
    const [one, two] = [await makeBucket(s, { compression: true }), await makeBucket(s)];
    for (const name of [one, two]) await s.set(['a'], text(5000), { bucket: name });
    assert.equal((await status(s, one)).bytes, (await status(s, two)).bytes);
  });

  test('switched on or off, what is stored stays readable', async (s) => {
    const bucket = await makeBucket(s, { history: 3 });
    for (const compression of [false, true, false]) {
      await s.ok('/bucket/update', { name: bucket, options: { compression } });
      await s.set(['a'], [text(3000), compression], { bucket });
    }
    const { entries } = await s.ok('/kv/history', { bucket, key: ['a'] });
    assert.deepEqual(entries.map(({ value }) => value), [false, true, false].map((one) => [text(3000), one]));
  });

  test('increment, update and checks work on compressed values', async (s) => {
    const bucket = await makeBucket(s, { compression: true });
    await s.set(['a'], text(900), { bucket });
    await s.fails('/kv/increment', { bucket, key: ['a'] }, 422, 'not_a_number');
    await s.ok('/kv/update', { bucket, key: ['a'], value: text(800), version: 1 });
    await s.ok('/kv/touch', { bucket, key: ['a'], ttl: 600_000 });
    assert.equal((await s.get(['a'], { bucket })).value, text(800));
  });
}

export function cases(test) {
  limitCases(test);
  compressionCases(test);
}
