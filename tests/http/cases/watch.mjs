// /kv/watch: what comes, in which order, in which form, and how it ends.
import assert from 'node:assert/strict';

import { del, makeBucket, setAll } from '../lib/bucket.mjs';
import { Stream, tryStream, watch, withStream } from '../lib/stream.mjs';

export const title = 'watch';

const brief = (entries) => entries.map(({ operation, value }) => operation ?? value);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Nothing but heartbeats comes within ms.
async function silent(stream, ms = 150) {
  await sleep(ms);
  assert.deepEqual(stream.seen.slice(stream.at).filter(({ type }) => type !== 'heartbeat'), []);
  assert.equal(stream.over, false);
}

function initialCases(test) {
  test('latest: each key\'s newest state with markers, pending down to 0, ready once, then what comes', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    await setAll(s, bucket, [['a'], ['b'], ['a'], ['c']]);
    const { revision } = await del(s, bucket, ['b']);
    await watch(s, { bucket }, async (stream) => {
      const initial = await stream.initial();
      assert.deepEqual(initial.map(({ entry }) => entry.operation ?? entry.value), [2, 3, 'DEL']);
      assert.deepEqual(initial.map(({ pending }) => pending), [2, 1, 0]);
      assert.deepEqual(stream.ready, { type: 'ready', revision });
      await s.set(['a'], 'new', { bucket });
      await del(s, bucket, ['c']);
      const [live, gone] = await stream.entries(2);
      assert.deepEqual(live, await s.get(['a'], { bucket }));
      assert.deepEqual([gone.operation, gone.key, gone.revision], ['DEL', ['c'], revision + 2]);
      await silent(stream);
      assert.equal(stream.seen.filter(({ type }) => type === 'ready').length, 1);
    });
  });

  test('an empty bucket is ready at once', async (s) => {
    const bucket = await makeBucket(s);
    for (const include of ['latest', 'history', 'updates']) {
      await watch(s, { bucket, include }, async (stream) => {
        assert.deepEqual(await stream.next(), { type: 'ready', revision: 0 });
        await silent(stream, 50);
      });
    }
    await watch(s, { bucket }, async (stream) => {
      await stream.initial();
      await s.set(['a'], 1, { bucket });
      assert.deepEqual(brief(await stream.entries(1)), [1]);
    });
  });

  test('history: everything held first, by revision; updates: only what comes', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    await setAll(s, bucket, [['a'], ['b'], ['a']]);
    await del(s, bucket, ['b']);
    await watch(s, { bucket, include: 'history' }, async (stream) => {
      const initial = await stream.initial();
      assert.deepEqual(initial.map(({ entry }) => entry.revision), [1, 2, 3, 4]);
      assert.deepEqual(initial.map(({ pending }) => pending), [3, 2, 1, 0]);
    });
    await watch(s, { bucket, include: 'updates' }, async (stream) => {
      assert.deepEqual(await stream.initial(), []);
      assert.equal(stream.ready.revision, 4);
      await s.set(['c'], 'c', { bucket });
      assert.deepEqual(brief(await stream.entries(1)), ['c']);
    });
  });

  test('more initial entries than fit on a page come once each, counted down', async (s) => {
    const bucket = await makeBucket(s, { history: 2 });
    for (let i = 0; i < 2; i += 1) {
      const mutations = Array.from({ length: 700 }, (_, n) => ({ type: 'set', key: [i, n], value: n }));
      await s.ok('/kv/atomic', { bucket, mutations });
    }
    await watch(s, { bucket }, async (stream) => {
      const initial = await stream.initial();
      assert.equal(new Set(initial.map(({ entry }) => JSON.stringify(entry.key))).size, 1400);
      assert.deepEqual(initial.map(({ pending }) => pending), Array.from({ length: 1400 }, (_, i) => 1399 - i));
    });
  });

  test('initial and live entries neither overlap nor leave a gap while somebody writes', async (s) => {
    const bucket = await makeBucket(s, { history: 1000 });
    let writing = true;
    const revisions = [];
    const writer = (async () => {
      while (writing) revisions.push((await s.set(['k', revisions.length % 3], revisions.length, { bucket })).revision);
    })();
    const streams = [];
    for (let i = 0; i < 4; i += 1) {
      await sleep(40);
      streams.push(await tryStream(s, '/kv/watch', { body: { bucket, include: 'history' } }));
    }
    await sleep(60);
    writing = false;
    await writer;
    for (const stream of streams) {
      const entries = (await stream.initial()).map(({ entry }) => entry);
      entries.push(...(await stream.entries(revisions.length - entries.length)));
      assert.deepEqual(entries.map(({ revision }) => revision), revisions);
      stream.close();
    }
  });

  test('an expired entry is no initial one', async (s) => {
    const bucket = await makeBucket(s);
    await s.set(['a'], 1, { bucket, ttl: 1 });
    await s.set(['b'], 2, { bucket });
    await s.until('the expiry', async () => (await s.get(['a'], { bucket })) === null);
    // Whether a marker has taken its place yet is not said.
    await watch(s, { bucket, ignoreDeletes: true }, async (stream) => {
      assert.deepEqual(brief((await stream.initial()).map(({ entry }) => entry)), [2]);
    });
  });
}

function selectorCases(test) {
  test('key, keys, prefix and filter choose; the rest is not sent', async (s) => {
    const bucket = await makeBucket(s);
    const keys = [['a'], ['a', 'b'], ['a', 'c'], ['d']];
    await setAll(s, bucket, keys);
    const wanted = [
      [{ key: ['a'] }, [0]],
      [{ keys: [['d'], ['a', 'b']] }, [1, 3]],
      [{ prefix: ['a'] }, [1, 2]],
      [{ prefix: [] }, [0, 1, 2, 3]],
      [{ filter: '*.b' }, [1]],
      [{ filter: ['d', 'a.>'] }, [1, 2, 3]],
    ];
    for (const [selector, want] of wanted) {
      await watch(s, { bucket, ...selector }, async (stream) => {
        const label = JSON.stringify(selector);
        assert.deepEqual((await stream.initial()).map(({ entry }) => entry.value), want, label);
        await setAll(s, bucket, keys);
        assert.deepEqual((await stream.entries(want.length)).map(({ value }) => value), want, label);
      });
    }
  });

  test('ignoreDeletes leaves markers out, initially and live', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['b']]);
    await del(s, bucket, ['a']);
    await watch(s, { bucket, ignoreDeletes: true }, async (stream) => {
      const initial = await stream.initial();
      assert.deepEqual(initial.map(({ entry, pending }) => [entry.value, pending]), [[1, 0]]);
      await del(s, bucket, ['b']);
      await s.ok('/kv/purge', { bucket, key: ['b'] });
      await s.set(['c'], 'c', { bucket });
      assert.deepEqual(brief(await stream.entries(1)), ['c']);
    });
  });

  test('metaOnly gives the length and no value', async (s) => {
    const bucket = await makeBucket(s);
    await s.ok('/kv/set', `{"bucket":"${bucket}","key":["a"],"value":[ 1.0, "ü" ]}`);
    await watch(s, { bucket, metaOnly: true }, async (stream) => {
      const [{ entry }] = await stream.initial();
      assert.ok(!('value' in entry) && !('valueBase64' in entry));
      assert.equal(entry.length, Buffer.byteLength('[1.0,"ü"]'));
      await s.ok('/kv/set', { bucket, key: ['b'], valueBase64: Buffer.alloc(1000).toString('base64') });
      const [live] = await stream.entries(1);
      assert.deepEqual([live.length, 'value' in live, 'valueBase64' in live], [1000, false, false]);
    });
  });

  test('values come exactly as they were sent', async (s) => {
    const bucket = await makeBucket(s);
    const value = '{"n":1.0,"big":123456789012345678901234567890,"s":"\\u0000\\ud800é"}';
    await watch(s, { bucket }, async (stream) => {
      await stream.initial();
      await s.ok('/kv/set', `{"bucket":"${bucket}","key":["a"],"value":${value}}`);
      await stream.entries(1);
      assert.ok(stream.fields.some(({ data }) => data.includes(`"value":${value},`)));
    });
  });
}

function sinceCases(test) {
  test('since gives what came after it, whatever include says, then ready', async (s) => {
    const bucket = await makeBucket(s, { history: 9 });
    await setAll(s, bucket, [['a'], ['a'], ['b'], ['a']]);
    for (const include of [undefined, 'latest', 'history', 'updates']) {
      await watch(s, { bucket, since: 1, include }, async (stream) => {
        const initial = await stream.initial();
        assert.deepEqual(initial.map(({ entry, pending }) => [entry.revision, pending]), [[2, 2], [3, 1], [4, 0]]);
        assert.equal(stream.ready.revision, 4);
      });
    }
    await watch(s, { bucket, since: 4 }, async (stream) => assert.deepEqual(await stream.initial(), []));
  });

  test('a since that is no longer held is 410 with the revision to start from', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['b']]);
    const { revision } = await del(s, bucket, ['a']);
    await s.ok('/bucket/purge-deletes', { name: bucket, olderThan: 0 });
    for (const options of [{ body: { bucket, since: 1 } }, { query: { bucket, since: '1' } }, { query: { bucket }, headers: { 'Last-Event-ID': '1' }, events: true }]) {
      const answer = await tryStream(s, '/kv/watch', options);
      const error = s.isError(answer, 410, 'compacted', 'since', JSON.stringify(options));
      assert.equal(error.revision, revision);
    }
    await watch(s, { bucket, since: revision }, async (stream) => assert.deepEqual(await stream.initial(), []));
    await watch(s, { bucket }, async (stream) => assert.equal((await stream.initial()).length, 1));
  });

  test('purge of a key reaches those who resume: its marker stays', async (s) => {
    const bucket = await makeBucket(s, { history: 3 });
    await setAll(s, bucket, [['a'], ['a']]);
    await s.ok('/kv/purge', { bucket, key: ['a'] });
    await watch(s, { bucket, since: 1 }, async (stream) => {
      assert.deepEqual(brief((await stream.initial()).map(({ entry }) => entry)), ['PURGE']);
    });
  });
}

function formCases(test) {
  test('NDJSON: one object a line, with the headers of a stream', async (s) => {
    const bucket = await makeBucket(s);
    await watch(s, { bucket }, async (stream) => {
      await stream.initial();
      assert.match(stream.headers['content-type'], /^application\/x-ndjson\b/);
      assert.match(stream.headers['cache-control'] ?? '', /no-store|no-cache/);
      assert.equal(stream.headers['content-length'], undefined);
    });
  });

  test('server-sent events: id is the revision, event the type, data the object', async (s) => {
    const bucket = await makeBucket(s);
    await setAll(s, bucket, [['a'], ['b']]);
    await watch(s, { bucket, heartbeat: 100 }, async (stream) => {
      assert.match(stream.headers['content-type'], /^text\/event-stream\b/);
      assert.equal((await stream.initial()).length, 2);
      await s.set(['c'], 'line\nfeed', { bucket });
      await stream.entries(1);
      await stream.expect('heartbeat');
      for (const [i, object] of stream.seen.entries()) {
        const { id, event } = stream.fields[i];
        assert.equal(event, object.type);
        assert.equal(id, String(object.entry?.revision ?? object.revision));
      }
    }, { events: true });
  });

  test('of a revision with several keys only the last event has its id, so that a cut loses none', async (s) => {
    const bucket = await makeBucket(s);
    const mutations = ['a', 'b', 'c'].map((name) => ({ type: 'set', key: [name], value: name }));
    await s.ok('/kv/atomic', { bucket, mutations });
    await watch(s, { bucket }, async (stream) => {
      await stream.initial();
      await s.ok('/kv/atomic', { bucket, mutations });
      await stream.entries(3);
      const ids = stream.fields.filter(({ event }) => event === 'entry').map(({ id }) => id);
      assert.deepEqual(ids, [undefined, undefined, '1', undefined, undefined, '2']);
    }, { events: true });
  });

  test('Last-Event-ID resumes, before what the query says', async (s) => {
    const bucket = await makeBucket(s, { history: 5 });
    await setAll(s, bucket, [['a'], ['a'], ['a']]);
    const query = { bucket, since: '0' };
    await withStream(s, '/kv/watch', { query, events: true, headers: { 'Last-Event-ID': '2' } }, async (stream) => {
      assert.deepEqual((await stream.initial()).map(({ entry }) => entry.revision), [3]);
    });
    for (const bad of ['x', '-1', '1.5', '99999999999999999999']) {
      const answer = await tryStream(s, '/kv/watch', { query, events: true, headers: { 'Last-Event-ID': bad } });
      s.isError(answer, 400, 'bad_request', undefined, bad);
    }
  });

  test('the GET form takes the same names: key, keys and prefix as JSON, filter plain', async (s) => {
    const bucket = await makeBucket(s, { history: 3 });
    await setAll(s, bucket, [['a', 'ü&='], ['a', 1], ['b'], ['b']]);
    const wanted = [
      [{ key: '["a","ü&="]' }, [0]],
      [{ keys: '[["b"],["a",1]]' }, [1, 3]],
      [{ prefix: '["a"]' }, [0, 1]],
      [{ filter: 'a.*' }, [0, 1]],
      [{ include: 'history', filter: 'b' }, [2, 3]],
      [{ include: 'updates' }, []],
      [{ since: '3', heartbeat: '1000' }, [3]],
      [{ metaOnly: 'true', key: '["b"]' }, [undefined]],
    ];
    for (const events of [false, true]) {
      for (const [query, want] of wanted) {
        await withStream(s, '/kv/watch', { query: { bucket, ...query }, events }, async (stream) => {
          assert.deepEqual((await stream.initial()).map(({ entry }) => entry.value), want, JSON.stringify(query));
        });
      }
    }
  });

  test('HEAD works where GET does, and ends', async (s) => {
    const answer = await s.client.request({ method: 'HEAD', path: '/kv/watch' });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.length, 0);
  });
}

function badCases(test) {
  test('bad parameters are refused before the stream begins', async (s) => {
    const bad = [
      [{ key: [] }, 'key'],
      [{ key: 'a' }, 'key'],
      [{ keys: 'a' }, 'keys'],
      [{ keys: [['a'], []] }, 'keys[1]'],
      [{ prefix: 1 }, 'prefix'],
      [{ include: 'all' }, 'include'],
      [{ include: 1 }, 'include'],
      [{ since: -1 }, 'since'],
      [{ since: '1' }, 'since'],
      [{ heartbeat: 99 }, 'heartbeat'],
      [{ heartbeat: 'x' }, 'heartbeat'],
      [{ ignoreDeletes: 1 }, 'ignoreDeletes'],
      [{ metaOnly: 'yes' }, 'metaOnly'],
      [{ limit: 1 }, 'limit'],
      [{ bucket: 'a.b' }, 'bucket'],
      [{ key: ['a'], filter: 'a' }, undefined],
      [{ keys: [['a']], prefix: ['a'] }, undefined],
    ];
    for (const [body, field] of bad) await s.fails('/kv/watch', body, 400, 'bad_request', field);
    await s.fails('/kv/watch', { bucket: `none-${s.space}` }, 404, 'no_bucket');
  });

  test('bad query parameters are refused too', async (s) => {
    const bad = ['key=a', 'key=%5B', 'since=x', 'heartbeat=1', 'nothing=1', 'filter=', 'key=%zz', 'include=all', 'since=1&since=2'];
    for (const query of bad) {
      const answer = await s.client.request({ method: 'GET', path: `/kv/watch?${query}` });
      s.isError(answer, 400, ['bad_request', 'bad_json'], undefined, query);
    }
    const none = await s.client.request({ method: 'GET', path: `/kv/watch?bucket=none-${s.space}` });
    s.isError(none, 404, 'no_bucket', undefined, 'bucket');
    const token = await s.client.request({ method: 'GET', path: '/kv/watch', headers: { Authorization: null } });
    s.isError(token, 401, 'unauthorized', undefined, 'no token');
  });
}

function lifeCases(test) {
  test('heartbeats come in silence, with the revision', async (s) => {
    const bucket = await makeBucket(s);
    const [revision] = await setAll(s, bucket, [['a']]);
    await watch(s, { bucket, key: ['none'], heartbeat: 100 }, async (stream) => {
      await stream.initial();
      const started = Date.now();
      for (let i = 0; i < 3; i += 1) assert.deepEqual(await stream.expect('heartbeat'), { type: 'heartbeat', revision });
      const took = Date.now() - started;
      assert.ok(took >= 150 && took < 30_000, `${took}`); // by default it would be 45 s
    });
  });

  test('destroying the bucket ends the stream and says so', async (s) => {
    const bucket = await makeBucket(s);
    const revisions = await setAll(s, bucket, [['a'], ['b']]);
    await watch(s, { bucket }, async (stream) => {
      await stream.initial();
      await s.ok('/bucket/destroy', { name: bucket });
      const { reason, revision } = await stream.end();
      assert.equal(reason, 'destroyed');
      assert.equal(revision, revisions[1]);
    });
  });

  test('a bucket destroyed and created again at once is another one: the stream still ends', async (s) => {
    const bucket = await makeBucket(s);
    await watch(s, { bucket }, async (stream) => {
      await stream.initial();
      await s.ok('/bucket/destroy', { name: bucket });
      await s.ok('/bucket/create', { name: bucket });
      assert.equal((await stream.end()).reason, 'destroyed');
    });
  });

  test('expiry is a change: watchers get the EXPIRE marker', async (s) => {
    const bucket = await makeBucket(s);
    await watch(s, { bucket }, async (stream) => {
      await stream.initial();
      const { revision } = await s.set(['a'], 1, { bucket, ttl: 300 });
      const [entry] = await stream.entries(1);
      // Without a process that stays, maintenance tells: here clean-expired stands for it.
      if (s.deployment.mode === 'cgi') {
        await s.until('the expiry', async () => (await s.get(['a'], { bucket })) === null);
        await s.ok('/kv/clean-expired');
      }
      const [marker] = await stream.entries(1);
      const late = Date.now() - entry.expiresAt;
      assert.deepEqual([marker.operation, marker.key, marker.revision], ['EXPIRE', ['a'], revision + 1]);
      assert.ok(late >= 0, `${-late} ms before the expiry`);
    });
  });

  test('clean-expired, purge and touch are seen', async (s) => {
    const bucket = await makeBucket(s);
    await s.set(['a'], 1, { bucket });
    await watch(s, { bucket, include: 'updates' }, async (stream) => {
      await stream.initial();
      await s.ok('/kv/touch', { bucket, key: ['a'], ttl: 600_000 });
      const [touched] = await stream.entries(1);
      assert.deepEqual([touched.value, touched.version, touched.revision], [1, 1, 2]);
      assert.ok(touched.expiresAt > Date.now());
      await s.ok('/kv/purge', { bucket, prefix: [] });
      assert.deepEqual(brief(await stream.entries(1)), ['PURGE']);
    });
  });

  test('several watchers get the same, each what it asked for', async (s) => {
    const bucket = await makeBucket(s);
    const streams = [];
    for (const body of [{ bucket }, { bucket, metaOnly: true }, { bucket, key: ['b'] }]) {
      streams.push(await tryStream(s, '/kv/watch', { body }));
    }
    for (const stream of streams) assert.ok(stream instanceof Stream && (await stream.initial()).length === 0);
    await setAll(s, bucket, [['a'], ['b'], ['c']]);
    const seen = await Promise.all([3, 3, 1].map((n, i) => streams[i].entries(n)));
    assert.deepEqual(seen.map((entries) => entries.map(({ key }) => key[0]).join('')), ['abc', 'abc', 'b']);
    assert.deepEqual(seen[1].map(({ length }) => length), [1, 1, 1]);
    for (const stream of streams) stream.close();
  });
}

export function cases(test) {
  initialCases(test);
  selectorCases(test);
  sinceCases(test);
  formCases(test);
  badCases(test);
  lifeCases(test);
}
