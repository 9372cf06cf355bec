// Runs the cases of cases/ over one deployment.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startDeployment } from './servers.mjs';
import { Session } from './session.mjs';

// Registers the groups (modules of cases/) for one deployment.  Each module exports title and cases(test).
export function suite(name, { mount = '/kvs', groups, settings } = {}) {
  describe(`${name} at ${mount}`, () => {
    let deployment = null;
    before(async () => {
      deployment = await startDeployment(name, { mount, settings });
    });
    for (const group of groups) {
      describe(group.title, () => {
        group.cases((title, run) => it(title, () => run(new Session(deployment))));
      });
    }
    it('stops, leaves no process behind and no unexpected line in any log', async () => {
      assert.deepEqual(await deployment.stop(), []);
    });
    after(async () => {
      await deployment?.stop();
    });
  });
}
