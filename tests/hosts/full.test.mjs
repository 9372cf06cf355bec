// A full disk: what does not fit is answered with 507 and changes nothing, reads go on, and so does everything once there is room.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { it } from 'node:test';

import { mayMount } from './lib/programs.mjs';

it('a full disk', (t) => {
  if (!mayMount()) return t.skip('a file system cannot be mounted here');
  const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'lib/full.mjs');
  const { status, stdout, stderr } = spawnSync('unshare', ['-m', process.execPath, script], { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
  for (const line of stdout.trim().split('\n')) t.diagnostic(line);
});
