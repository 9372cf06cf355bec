// Buckets of a case's own, and the few requests that nearly every case on buckets makes.
let made = 0;

// Creates a bucket that nobody else uses; answers its name.
export async function makeBucket(s, options = {}) {
  made += 1;
  const name = `${s.space}-b${made}`;
  await s.ok('/bucket/create', { name, options });
  return name;
}

export const status = async (s, name) => (await s.ok('/bucket/status', { name })).bucket;

export const del = (s, bucket, key) => s.ok('/kv/delete', { bucket, key });

// Sets the keys one after the other to 0, 1, …; answers their revisions.
export async function setAll(s, bucket, keys) {
  const revisions = [];
  for (const [i, key] of keys.entries()) revisions.push((await s.set(key, i, { bucket })).revision);
  return revisions;
}

// Every page of a reading endpoint, joined; name is the array's.
export async function pages(s, path, name, body) {
  const found = [];
  let cursor = null;
  do {
    const page = await s.ok(path, { ...body, cursor });
    found.push(...page[name]);
    cursor = page.cursor;
  } while (cursor !== null);
  return found;
}
