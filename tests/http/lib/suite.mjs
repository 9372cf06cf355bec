// Runs the cases of cases/ over one deployment.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { EVERYTHING, PROCESSES, TRANSPORT } from '../cases/index.mjs';
import { DEPLOYMENTS } from './deployments.mjs';
import { startDeployment } from './servers.mjs';
import { Session } from './session.mjs';

const LONG = Boolean(process.env.KVS_LONG);
// Longer than any case takes on a slow machine; what the limit does is tested in streams.test.mjs.  Nothing is tidied up but by those
// cases that do it and count.
const STREAM_LIMIT = 600;

// The rows of the matrix on which more than TRANSPORT runs at every time, not in a long run only: one a transport.
const MORE = { 'lighttpd-fastcgi': EVERYTHING, 'lighttpd-cgi': PROCESSES };

// Registers the groups (modules of cases/) for one deployment.  Each module exports title and cases(test).
export function suite(name, { mount = '/kvs', groups, leaks } = {}) {
  describe(`${name} at ${mount}`, () => {
    let deployment = null;
    before(async () => {
      deployment = await startDeployment(name, { mount, leaks, settings: { stream_limit: STREAM_LIMIT, maint_interval: 0 } });
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

// Registers one row of the matrix: a deployment at a sub-path and at the root, or where its server has programs.  kvs.cgi
// looks for leaks where the cases are few.
export function row(name) {
  for (const [i, mount] of (DEPLOYMENTS[name].mounts ?? ['/kvs', '/']).entries()) {
    const short = (i === 0 && MORE[name]) || TRANSPORT;
    suite(name, { mount, groups: LONG ? EVERYTHING : short, leaks: i === 1 && !LONG && name === 'lighttpd-cgi' });
  }
}
