// Reading, computing and writing as one step, by check-and-set.
import { isKvsError, KvsError } from "./errors.js";
import { type Entry, type Key, encodeKey, keyName } from "./keys.js";
import type { SetOptions, StoreClient } from "./store.js";
import { backoff, pause } from "./signal.js";

/** Options of conditionalUpdate. */
export interface UpdateOptions extends SetOptions {
  /** How often to start again (20). */
  retries?: number | undefined;
}

/** The outcome of conditionalUpdate: `ok` is false where the function wanted no change. */
export type UpdateResult<T> =
  | { ok: true; value: T; version: number; revision: number }
  | { ok: false; value: T | null };

/** @internal */
export async function conditionalUpdate<T>(
  client: StoreClient,
  key: Key,
  change: (value: T | null, entry: Entry<T> | null) => T | undefined | Promise<T | undefined>,
  { retries = 20, ...options }: UpdateOptions,
): Promise<UpdateResult<T>> {
  for (let n = 0; ; n++) {
    const entry = await client.get<T>(key, options);
    const value = await change(entry?.value ?? null, entry);
    if (value === undefined) return { ok: false, value: entry?.value ?? null };
    try {
      const { version, revision } = entry
        ? await client.update(key, value, { revision: entry.revision }, options)
        : await client.create(key, value, options);
      return { ok: true, value, version, revision };
    } catch (error) {
      if (!isKvsError(error, "conflict")) throw error;
      if (n >= retries) throw new KvsError("conflict", `another was faster ${n + 1} times`, { ...error, cause: error });
    }
    await pause(Math.random() * backoff(n), options.signal);
  }
}

// What is being computed in this process, by server, bucket and key: whichever client asks, one computes.
const running = new Map<string, Promise<unknown>>();

/** @internal */
export function getAsync<T>(
  client: StoreClient,
  key: Key,
  compute: () => T | Promise<T>,
  ttl: number | undefined,
): Promise<T> {
  const { base, bucket } = client.transport;
  const name = JSON.stringify([base, bucket ?? "default", keyName(encodeKey(key))]);
  let run = running.get(name) as Promise<T> | undefined;
  if (!run) {
    run = cached(client, key, compute, ttl).finally(() => running.delete(name));
    running.set(name, run);
  }
  return run;
}

async function cached<T>(
  client: StoreClient,
  key: Key,
  compute: () => T | Promise<T>,
  ttl: number | undefined,
): Promise<T> {
  const entry = await client.get<T>(key);
  if (entry) return entry.value;
  const value = await compute();
  try {
    await client.create(key, value, { ttl });
    return value;
  } catch (error) {
    if (!isKvsError(error, "conflict") && !isKvsError(error, "outcome_unknown")) throw error;
  }
  const winner = await client.get<T>(key); // another process was faster, and its value counts
  return winner ? winner.value : value;
}
