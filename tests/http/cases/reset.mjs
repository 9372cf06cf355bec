// reset empties everything; it stands last, as the other cases share the database.
import assert from 'node:assert/strict';

export const title = 'reset';

export function cases(test) {
  test('reset drops every key, marker, message and dead letter, and revisions go on', async (s) => {
    const topic = s.topic();
    const key = s.key('a');
    await s.set(key, 1);
    await s.set(s.key('gone'), 1);
    await s.ok('/kv/delete', { key: s.key('gone') });
    await s.enqueue(topic, 'ready');
    await s.enqueue(topic, 'later', { delay: 600_000 });
    await s.enqueue(topic, 'dying', { maxAttempts: 1, priority: 1 });
    const dying = await s.take(topic);
    await s.ok('/queue/nack', { id: dying.id, lease: dying.lease });
    const leased = await s.take(topic);
    const revision = await s.revision();

    assert.equal((await s.sent('/kv/reset')).text, '{"ok":true}');

    assert.equal((await s.sent('/kv/list', { prefix: [] })).text, '{"entries":[],"cursor":null}');
    assert.equal(await s.get(key, { markers: true }), null);
    assert.equal(await s.get(s.key('gone'), { markers: true }), null);
    assert.deepEqual(await s.dequeue(topic, { limit: 10 }), []);
    assert.deepEqual((await s.ok('/queue/dead', { topic })).messages, []);
    assert.deepEqual(await s.ok('/queue/ack', { id: leased.id, lease: leased.lease }), { ok: false });
    const { ready, delayed, leased: held, dead } = await s.stats(topic);
    assert.deepEqual([ready, delayed, held, dead], [0, 0, 0, 0]);

    const again = await s.set(key, 2);
    assert.equal(again.version, 1);
    assert.ok(again.revision > revision);
  });

  test('reset takes {} as well, and is idempotent', async (s) => {
    await s.set(s.key('a'), 1);
    for (let i = 0; i < 2; i += 1) assert.equal((await s.sent('/kv/reset', '{}')).text, '{"ok":true}');
    assert.equal(await s.get(s.key('a')), null);
  });

  test('ids of messages are not used again after a reset', async (s) => {
    const topic = s.topic();
    const old = await s.enqueue(topic, 1);
    await s.ok('/kv/reset');
    assert.ok((await s.enqueue(topic, 1)) > old);
    await s.ok('/kv/reset');
  });
}
