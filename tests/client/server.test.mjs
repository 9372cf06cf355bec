// The client's cases against a real server behind lighttpd, by streams and by long polls.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { startDeployment } from '../http/lib/servers.mjs';
import * as kvs from '../../client/dist/index.js';
import { GROUPS } from './cases/index.mjs';
import * as waiting from './cases/waiting.mjs';
import * as bucketWatch from './cases/bucket-watch.mjs';
import { runCase } from './lib/context.mjs';

const RUNS = [
  { title: 'fastcgi, streams', name: 'lighttpd-fastcgi', groups: GROUPS },
  { title: 'fastcgi, long polls', name: 'lighttpd-fastcgi', groups: [waiting, bucketWatch], stream: false },
  { title: 'cgi', name: 'lighttpd-cgi', groups: process.env.KVS_LONG ? GROUPS : [waiting] },
];

for (const { title, name, groups, stream } of RUNS) {
  describe(title, () => {
    let deployment;
    before(async () => {
      deployment = await startDeployment(name, { mount: '/kvs' });
    });
    after(() => deployment?.stop());
    for (const group of groups) {
      describe(group.title, () => {
        group.cases((caseName, body) =>
          it(caseName, async () => {
            const url = `http://127.0.0.1:${deployment.port}${deployment.mount}`;
            const error = await runCase(kvs, { url, token: deployment.token, stream }, body);
            if (error) throw error;
          }),
        );
      });
    }
    it('leaves no unexpected line in any log', async () => {
      assert.deepEqual(await deployment.stop(), []);
    });
  });
}
