// What streams and waiting requests do across processes, at a time limit, and when the server stops.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { makeBucket, setAll } from './lib/bucket.mjs';
import { startDeployment } from './lib/servers.mjs';
import { Session } from './lib/session.mjs';
import { tryStream, watch, withStream } from './lib/stream.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

for (const name of ['lighttpd-cgi', 'apache-cgid']) {
  describe(`stream_limit over ${name}`, () => {
    let deployment = null;
    before(async () => {
      deployment = await startDeployment(name, { settings: { stream_limit: 1 } });
    });

    it('a watch ends with the reason limit, and resumes where it was', async () => {
      const s = new Session(deployment);
      const bucket = await makeBucket(s, { history: 5 });
      await setAll(s, bucket, [['a'], ['b']]);
      const started = Date.now();
      let last;
      await watch(s, { bucket }, async (stream) => {
        assert.equal((await stream.initial()).length, 2);
        await s.set(['c'], 1, { bucket });
        let object = await stream.next();
        // On a slow machine the limit may come before the change.
        const came = object.type === 'entry';
        if (came) object = await stream.next();
        last = came ? 3 : 2;
        assert.deepEqual(object, { type: 'end', reason: 'limit', revision: last });
        assert.ok(Date.now() - started >= 900);
      });
      await s.set(['d'], 1, { bucket });
      await watch(s, { bucket, since: last }, async (stream) => {
        assert.deepEqual((await stream.initial()).map(({ entry }) => entry.revision), [3, 4].slice(last - 2));
      });
    });

    it('so does a listen; what it had handed out stays leased', async () => {
      const s = new Session(deployment);
      const topic = s.topic();
      const id = await s.enqueue(topic, 1);
      await withStream(s, '/queue/listen', { body: { topic } }, async (stream) => {
        const { message } = await stream.expect('message');
        assert.equal(message.id, id);
        assert.equal((await stream.end()).reason, 'limit');
        assert.deepEqual(await s.ok('/queue/ack', { id, lease: message.lease }), { ok: true });
      });
    });

    it('long polls work', async () => {
      const s = new Session(deployment);
      const topic = s.topic();
      const waiting = s.dequeue(topic, { waitMs: 900 });
      await sleep(200);
      const id = await s.enqueue(topic, 1);
      assert.deepEqual((await waiting).map((one) => one.id), [id]);
    });

    it('stops without an unexpected line in any log', async () => assert.deepEqual(await deployment.stop(), []));
    after(async () => {
      await deployment?.stop();
    });
  });
}

describe('waiting in one process, writing in another', () => {
  let fastcgi = null;
  let other = null;
  let cgi = null;
  before(async () => {
    fastcgi = await startDeployment('nginx-fastcgi');
    other = await startDeployment('nginx-fastcgi', { dbPath: fastcgi.dbPath });
    cgi = await startDeployment('lighttpd-cgi', { dbPath: fastcgi.dbPath });
  });

  // Each way round: who waits, who writes.
  const ways = () => [
    [fastcgi, cgi],
    [fastcgi, other],
    [cgi, fastcgi],
  ];

  for (const [i, title] of ['fastcgi waits, cgi writes', 'two fastcgi', 'cgi waits, fastcgi writes'].entries()) {
    const both = () => ways()[i].map((deployment) => new Session(deployment));

    it(`dequeue with waitMs is woken: ${title}`, async () => {
      const [s, writer] = both();
      const topic = s.topic();
      const waiting = s.dequeue(topic, { waitMs: 20_000 });
      await sleep(200);
      const written = Date.now();
      const id = await writer.enqueue(topic, 1);
      assert.deepEqual((await waiting).map((one) => one.id), [id]);
      assert.ok(Date.now() - written < 3000, `${Date.now() - written} ms`);
    });

    it(`changes and lock/acquire with waitMs are woken: ${title}`, async () => {
      const [s, writer] = both();
      const bucket = await makeBucket(s);
      const { token } = await writer.ok('/lock/acquire', { name: bucket, ttl: 60_000 });
      const waiting = [
        s.ok('/kv/changes', { bucket, since: 0, waitMs: 20_000 }),
        s.ok('/lock/acquire', { name: bucket, ttl: 60_000, waitMs: 20_000 }),
      ];
      await sleep(200);
      const written = Date.now();
      await writer.set(['a'], 1, { bucket });
      assert.equal((await waiting[0]).entries.length, 1);
      await writer.ok('/lock/release', { name: bucket, token });
      assert.equal((await waiting[1]).ok, true);
      assert.ok(Date.now() - written < 5000, `${Date.now() - written} ms`);
    });

    it(`watch and listen get what the other wrote: ${title}`, async () => {
      const [s, writer] = both();
      for (const storage of ['file', 'memory']) {
        const bucket = await makeBucket(s, { storage, history: 100 });
        const topic = s.topic();
        const stream = await tryStream(s, '/kv/watch', { body: { bucket } });
        const listener = await tryStream(s, '/queue/listen', { body: { topic, limit: 10 } });
        await stream.initial();
        const revisions = await setAll(writer, bucket, Array(10).fill(['a']));
        assert.deepEqual((await stream.entries(10)).map(({ revision }) => revision), revisions);
        const ids = [await writer.enqueue(topic, 1), await writer.enqueue(topic, 2)];
        assert.deepEqual([(await listener.expect('message')).message.id, (await listener.expect('message')).message.id], ids);
        stream.close();
        listener.close();
      }
    });
  }

  it('kvs.fcgi that stops ends its streams with the reason stopping', async () => {
    const s = new Session(other);
    const bucket = await makeBucket(s);
    const stream = await tryStream(s, '/kv/watch', { body: { bucket } });
    const listener = await tryStream(s, '/queue/listen', { body: { topic: s.topic() } });
    await stream.initial();
    const { code } = await other.stopFcgi('SIGTERM');
    assert.equal(code, 0);
    assert.equal((await stream.end()).reason, 'stopping');
    assert.equal((await listener.end()).reason, 'stopping');
  });

  it('all stop without an unexpected line in any log', async () => {
    for (const deployment of [cgi, other, fastcgi]) assert.deepEqual(await deployment.stop(), []);
  });
  after(async () => {
    for (const deployment of [cgi, other, fastcgi]) await deployment?.stop();
  });
});
