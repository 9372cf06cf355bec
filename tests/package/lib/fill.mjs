// Fills a database by the programs of another build (KVS_OLD_BUILD), as tests/maint does: one of everything.  Leaves the database
// at the first path, with its log, and its dump at the second.
import fs from 'node:fs';
import path from 'node:path';

process.env.KVS_BUILD = process.env.KVS_OLD_BUILD;
const { Store, fill } = await import('../../maint/lib/store.mjs');
const [database, dump] = process.argv.slice(2);

const s = new Store();
await s.serve();
await fill(s);
await s.stop();
const { code, raw, err } = await s.maint(['dump']);
if (code !== 0) throw new Error(err);
fs.writeFileSync(dump, raw);
for (const end of ['', '-wal', '-shm']) {
  if (fs.existsSync(s.db + end)) fs.copyFileSync(s.db + end, path.join(path.dirname(database), path.basename(database) + end));
}
await s.remove();
