// Locks: acquire, renew, release, their tokens, times and fencing numbers.
import assert from 'node:assert/strict';

export const title = 'locks';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const acquire = (s, name, more = {}) => s.ok('/lock/acquire', { name, ttl: 60_000, ...more });
const release = (s, name, token) => s.ok('/lock/release', { name, token });

export function cases(test) {
  test('acquire answers token, fence and expiresAt; the second one who holds it', async (s) => {
    const name = `${s.space} any name: ü/*`;
    const before = Date.now();
    const { ok, token, fence, expiresAt, ...more } = await acquire(s, name, { owner: 'me' });
    assert.deepEqual([ok, typeof token, more], [true, 'string', {}]);
    assert.ok(token.length >= 16 && Number.isSafeInteger(fence) && fence > 0);
    assert.ok(expiresAt >= before + 60_000 && expiresAt <= Date.now() + 60_000);
    assert.deepEqual(await acquire(s, name, { owner: 'you' }), { ok: false, owner: 'me', expiresAt });
    assert.deepEqual(await acquire(s, name, { owner: 'me' }), { ok: false, owner: 'me', expiresAt });
    assert.deepEqual(await release(s, name, token), { ok: true });
  });

  test('without an owner it is null', async (s) => {
    const { expiresAt } = await acquire(s, s.space);
    assert.deepEqual(await acquire(s, s.space), { ok: false, owner: null, expiresAt });
  });

  test('names are apart', async (s) => {
    assert.equal((await acquire(s, `${s.space}a`)).ok, true);
    assert.equal((await acquire(s, `${s.space}b`)).ok, true);
  });

  test('release and renew need the current token', async (s) => {
    const name = s.space;
    const first = await acquire(s, name);
    for (const token of ['x', `${first.token}x`, first.token.slice(1)]) {
      assert.deepEqual(await release(s, name, token), { ok: false });
      assert.deepEqual(await s.ok('/lock/renew', { name, token, ttl: 1000 }), { ok: false });
    }
    const before = Date.now();
    const renewed = await s.ok('/lock/renew', { name, token: first.token, ttl: 90_000 });
    assert.equal(renewed.ok, true);
    assert.ok(renewed.expiresAt >= before + 90_000);
    assert.equal((await acquire(s, name)).expiresAt, renewed.expiresAt);
    assert.deepEqual(await release(s, name, first.token), { ok: true });
    assert.deepEqual(await release(s, name, first.token), { ok: false });
    assert.deepEqual(await s.ok('/lock/renew', { name, token: first.token, ttl: 1000 }), { ok: false });
    assert.deepEqual(await release(s, `${name}-none`, 'x'), { ok: false });
    const second = await acquire(s, name);
    assert.notEqual(second.token, first.token);
    assert.deepEqual(await release(s, name, first.token), { ok: false });
    assert.equal((await acquire(s, name)).ok, false);
  });

  test('an expired lock is free at once, and its token is worth nothing', async (s) => {
    const name = s.space;
    const first = await acquire(s, name, { ttl: 300 });
    const second = await s.until('the expiry', async () => {
      const before = Date.now();
      const answer = await acquire(s, name);
      if (!answer.ok) assert.ok(before < first.expiresAt, 'still held after its time');
      else assert.ok(Date.now() >= first.expiresAt, 'free before its time');
      return answer.ok && answer;
    });
    assert.ok(second.fence > first.fence);
    assert.deepEqual(await release(s, name, first.token), { ok: false });
    assert.deepEqual(await s.ok('/lock/renew', { name, token: first.token, ttl: 1000 }), { ok: false });
    assert.equal((await acquire(s, name)).ok, false);
  });

  test('an expired lock cannot be renewed, even if nobody took it', async (s) => {
    const { token, expiresAt } = await acquire(s, s.space, { ttl: 1 });
    while (Date.now() <= expiresAt + 5) await sleep(5);
    assert.deepEqual(await s.ok('/lock/renew', { name: s.space, token, ttl: 1000 }), { ok: false });
    assert.deepEqual(await release(s, s.space, token), { ok: false });
  });

  test('fence only ever grows, across release, expiry and reset', async (s) => {
    const name = s.space;
    let last = 0;
    for (let i = 0; i < 6; i += 1) {
      const { ok, token, fence, expiresAt } = await acquire(s, name, { ttl: i % 2 ? 1 : 60_000 });
      assert.ok(ok && fence > last, `${fence} after ${last}`);
      last = fence;
      if (i === 3) await s.ok('/kv/reset');
      if (i % 2) while (Date.now() <= expiresAt + 5) await sleep(5);
      else assert.deepEqual(await release(s, name, token), { ok: true });
    }
  });

  test('waitMs waits for the release', async (s) => {
    const name = s.space;
    const { token, fence } = await acquire(s, name);
    const waiting = acquire(s, name, { waitMs: 20_000 });
    await sleep(150);
    const released = Date.now();
    await release(s, name, token);
    const second = await waiting;
    assert.ok(second.ok && second.fence > fence);
    assert.ok(Date.now() - released < 10_000);
  });

  test('waitMs waits for the expiry, and gives up at its time', async (s) => {
    const name = s.space;
    const { expiresAt } = await acquire(s, name, { ttl: 400 });
    const second = await acquire(s, name, { waitMs: 20_000 });
    assert.equal(second.ok, true);
    assert.ok(Date.now() >= expiresAt && Date.now() < expiresAt + 10_000);
    const started = Date.now();
    assert.equal((await acquire(s, name, { waitMs: 300 })).ok, false);
    assert.ok(Date.now() - started >= 290);
  });

  test('of many that wait each gets it once, one after the other', async (s) => {
    const name = s.space;
    const fences = [];
    let holders = 0;
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { ok, token, fence } = await acquire(s, name, { waitMs: 25_000 });
        assert.equal(ok, true);
        holders += 1;
        assert.equal(holders, 1, 'two holders at once');
        fences.push(fence);
        await sleep(5);
        holders -= 1;
        assert.deepEqual(await release(s, name, token), { ok: true });
      }),
    );
    assert.deepEqual(fences, [...fences].sort((a, b) => a - b));
    assert.equal(new Set(fences).size, 8);
  });

  test('bad parameters', async (s) => {
    const name = s.space;
    for (const bad of [undefined, '', 1, 'x'.repeat(257)]) {
      for (const [path, more] of [['acquire', { ttl: 1 }], ['renew', { ttl: 1, token: 'x' }], ['release', { token: 'x' }]]) {
        await s.fails(`/lock/${path}`, { name: bad, ...more }, 400, 'bad_request', 'name');
      }
    }
    for (const ttl of [undefined, 0, -1, 1.5, 'x']) {
      await s.fails('/lock/acquire', { name, ttl }, 400, 'bad_request', 'ttl');
      await s.fails('/lock/renew', { name, token: 'x', ttl }, 400, 'bad_request', 'ttl');
    }
    for (const waitMs of [-1, 25_001, 'x']) await s.fails('/lock/acquire', { name, ttl: 1, waitMs }, 400, 'bad_request', 'waitMs');
    await s.fails('/lock/acquire', { name, ttl: 1, owner: 1 }, 400, 'bad_request', 'owner');
    await s.fails('/lock/acquire', { name, ttl: 1, token: 'x' }, 400, 'bad_request', 'token');
    await s.fails('/lock/release', { name }, 400, 'bad_request', 'token');
    assert.equal((await acquire(s, name)).ok, true);
  });
}
