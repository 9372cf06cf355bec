// increment: exact integers, doubles once there is a fraction, refusals that change nothing.
import assert from 'node:assert/strict';

export const title = 'increment';

const MAX = '9223372036854775807';
const MIN = '-9223372036854775808';

// Sends delta as text; answers the text of the new value.
async function add(s, key, delta) {
  const more = delta === undefined ? '' : `,"delta":${delta}`;
  return (await s.sent('/kv/increment', `{"key":${JSON.stringify(key)}${more}}`)).raw('value');
}

async function refuses(s, key, delta, status = 422, code = 'not_a_number') {
  return s.fails('/kv/increment', `{"key":${JSON.stringify(key)},"delta":${delta}}`, status, code);
}

function integerCases(test) {
  test('a missing key is created with delta, 1 where none is given', async (s) => {
    const { revision, ...made } = await s.ok('/kv/increment', { key: s.key('a') });
    assert.deepEqual(made, { ok: true, value: 1, version: 1 });
    assert.equal((await s.get(s.key('a'))).revision, revision);
    assert.equal(await add(s, s.key('b'), '5'), '5');
    assert.equal(await add(s, s.key('c'), '-5'), '-5');
    assert.equal(await add(s, s.key('d'), 'null'), '1');
    assert.equal(await add(s, s.key('e'), '0'), '0');
    assert.equal((await s.get(s.key('e'))).value, 0);
  });

  test('each increment is a set: value, version and revision go up', async (s) => {
    const key = s.key('a');
    const { revision } = await s.set(key, 40);
    assert.deepEqual(await s.ok('/kv/increment', { key, delta: 2 }), {
      ok: true,
      value: 42,
      version: 2,
      revision: revision + 1,
    });
    assert.equal(await s.getRaw(key), '42');
    assert.equal(await add(s, key, '-50'), '-8');
  });

  test('integers are exact in 64 bits', async (s) => {
    const key = s.key('a');
    await s.setRaw(key, '9007199254740992');
    assert.equal(await add(s, key, '1'), '9007199254740993');
    assert.equal(await add(s, key, '1'), '9007199254740994');
    assert.equal(await s.getRaw(key), '9007199254740994');
    await s.setRaw(key, '9223372036854775806');
    assert.equal(await add(s, key, '1'), MAX);
    assert.equal(await add(s, key, MIN), '-1');
    await s.setRaw(key, '0');
    assert.equal(await add(s, key, MIN), MIN);
    assert.equal(await add(s, key, MAX), '-1');
  });

  test('an integer may be written in any form, in the value and in delta', async (s) => {
    for (const [value, delta, sum] of [
      ['1e3', '1', 1001],
      ['1000.0', '1', 1001],
      ['10.50e1', '0', 105],
      ['1', '1e3', 1001],
      ['1', '2.0', 3],
      ['-0', '1', 1],
    ]) {
      await s.setRaw(s.key('a'), value);
      assert.equal(Number(await add(s, s.key('a'), delta)), sum, `${value} + ${delta}`);
    }
  });

  test('overflow is 422 and changes nothing', async (s) => {
    const cases = { top: [MAX, '1'], bottom: [MIN, '-1'], far: [MAX, MAX], low: [MIN, MIN] };
    for (const [name, [value]] of Object.entries(cases)) await s.setRaw(s.key(name), value);
    await s.unchanged(async () => {
      for (const [name, [, delta]] of Object.entries(cases)) await refuses(s, s.key(name), delta);
    });
    for (const [name, [value]] of Object.entries(cases)) assert.equal(await s.getRaw(s.key(name)), value);
  });

  test('an integer value beyond 64 bits is 422 and keeps its digits', async (s) => {
    for (const text of ['9223372036854775808', '-9223372036854775809', '123456789012345678901234567890']) {
      await s.setRaw(s.key('a'), text);
      await s.unchanged(() => refuses(s, s.key('a'), '1'));
      assert.equal(await s.getRaw(s.key('a')), text);
    }
  });

  test('a delta beyond 64 bits is refused and changes nothing', async (s) => {
    await s.setRaw(s.key('a'), '1');
    await s.unchanged(async () => {
      for (const delta of ['9223372036854775808', '-9223372036854775809', '1e30', '1e400']) {
        const answer = await s.post('/kv/increment', `{"key":${JSON.stringify(s.key('a'))},"delta":${delta}}`);
        assert.ok(answer.status === 400 || answer.status === 422, `${delta}: ${answer.status}`);
      }
    });
  });
}

function doubleCases(test) {
  test('once the value or delta has a fraction, the sum is a double', async (s) => {
    const key = s.key('a');
    await s.setRaw(key, '1');
    assert.equal(Number(await add(s, key, '0.5')), 1.5);
    assert.equal(Number(await add(s, key, '1')), 2.5);
    assert.equal(Number(await add(s, key, '0.5')), 3);
    await s.setRaw(key, '0.1');
    assert.equal(Number(await add(s, key, '0.2')), 0.1 + 0.2);
    assert.equal(Number(await s.getRaw(key)), 0.1 + 0.2);
    await s.setRaw(key, '-1e-7');
    assert.equal(Number(await add(s, key, '1e-7')), 0);
  });

  test('doubles come back such that they read as the same double', async (s) => {
    for (const text of ['0.1', '1.7976931348623157e308', '5e-324', '123456.789e-10', '2.2250738585072014e-308']) {
      if (Number.isInteger(Number(text))) continue;
      assert.equal(Number(await add(s, s.key(Number(text)), text)), Number(text), text);
    }
  });

  test('a sum that no double holds is refused, never written as something that is no JSON', async (s) => {
    const key = s.key('a');
    await s.setRaw(key, '0.5');
    await s.unchanged(async () => {
      for (const delta of ['1e999', '-1e999']) {
        const answer = await s.post('/kv/increment', `{"key":${JSON.stringify(key)},"delta":${delta}}`);
        assert.ok(answer.status === 400 || answer.status === 422, `${delta}: ${answer.status}`);
      }
    });
    assert.equal(await s.getRaw(key), '0.5');
  });
}

function refusalCases(test) {
  test('a value that is no number is 422 and stays', async (s) => {
    for (const text of ['"1"', '""', 'null', 'true', 'false', '[]', '[1]', '{}', '{"a":1}']) {
      await s.setRaw(s.key('a'), text);
      await s.unchanged(() => refuses(s, s.key('a'), '1'));
      assert.equal(await s.getRaw(s.key('a')), text);
    }
    await s.ok('/kv/set', { key: s.key('a'), valueBase64: 'MQ==' });
    await s.unchanged(() => refuses(s, s.key('a'), '1'));
    assert.equal((await s.get(s.key('a'))).valueBase64, 'MQ==');
  });

  test('a delta that is no number is 400', async (s) => {
    await s.unchanged(async () => {
      for (const delta of ['"1"', 'true', '[]', '{}']) {
        await s.fails('/kv/increment', `{"key":["${s.space}"],"delta":${delta}}`, 400, 'bad_request', 'delta');
      }
    });
  });

  test('without ttl the expiry stays, with one it is set anew, 0 too', async (s) => {
    const key = s.key('a');
    await s.set(key, 1, { ttl: 600_000 });
    const { expiresAt } = await s.get(key);
    await s.ok('/kv/increment', { key });
    assert.equal((await s.get(key)).expiresAt, expiresAt);
    await s.ok('/kv/increment', { key, ttl: null });
    assert.equal((await s.get(key)).expiresAt, expiresAt);
    const before = Date.now();
    await s.ok('/kv/increment', { key, ttl: 1_200_000 });
    const later = await s.get(key);
    assert.ok(later.expiresAt >= before + 1_200_000 && later.expiresAt <= Date.now() + 1_200_000);
    await s.ok('/kv/increment', { key, ttl: 0 });
    assert.ok(!('expiresAt' in (await s.get(key))));
    assert.equal((await s.get(key)).value, 5);
    await s.ok('/kv/increment', { key: s.key('b'), ttl: 600_000 });
    assert.ok((await s.get(s.key('b'))).expiresAt > Date.now());
  });
}

export function cases(test) {
  integerCases(test);
  doubleCases(test);
  refusalCases(test);
}
