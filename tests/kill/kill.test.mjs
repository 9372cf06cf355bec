// kill -9 at random moments: what was acknowledged is there, what was not is there whole or not at all.
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { random } from '../lib/random.mjs';
import { Store } from '../maint/lib/store.mjs';
import { round } from './lib/load.mjs';
import { HISTORY, Model } from './lib/model.mjs';

// A program killed while the leak sanitizer looks at its threads makes that say so on stderr.
process.env.ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? ''}:detect_leaks=0`;

const seed = Number(process.env.KVS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const rounds = Number(process.env.KVS_ROUNDS ?? (process.env.KVS_LONG ? 2000 : 50));

async function good(promise) {
  const { code, out, err } = await promise;
  assert.equal(code, 0, `${out}${err}`);
  return out;
}

it(`${rounds} rounds of SIGKILL, seed ${seed}`, async (t) => {
  const store = new Store();
  const model = new Model();
  const rng = random(seed);
  const workers = [];
  const tally = { fcgi: 0, cgi: 0, maint: 0 };
  try {
    for (let n = 0; n < rounds; n++) {
      store.children.splice(0);
      const child = await store.serve();
      if (n === 0) await store.ok('/bucket/create', { name: 'kept', options: { history: HISTORY } });
      await round(store, child, model, workers, rng, tally);
      assert.match(await good(store.maint(['check'])), /no problem found/, `after round ${n}`);
      model.settle(await good(store.maint(['dump'])));
    }
    t.diagnostic(`seed ${seed}: killed kvs.fcgi ${tally.fcgi}, kvs.cgi ${tally.cgi}, kvs-maint ${tally.maint} times`);
    t.diagnostic(`${model.acknowledged} acknowledged, ${model.inDoubt} in doubt, of which ${model.doubtsDone} were done`);
    assert.ok(model.acknowledged > rounds, 'something was acknowledged');
  } finally {
    await store.stop();
    await store.remove();
  }
});
