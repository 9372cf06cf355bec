import { type KvOptions, wireOptions } from "./bucket-options.js";
import { BucketReader, type RoKV } from "./bucket-reader.js";
import { isKvsError, KvsError } from "./errors.js";
import { encodeValue } from "./keys.js";
import { checkBucket, checkFilter, isFilter } from "./names.js";
import type { Transport } from "./transport.js";

/** What a key's revision must be for a write to go through. */
export interface KvPrevious {
  previousRevision?: number | undefined;
  previousSeq?: number | undefined;
}

/** How to put. */
export interface KvPutOptions extends KvPrevious {
  /** Milliseconds, or text such as "90s" or "1h30m". */
  ttl?: number | string | undefined;
}

/** The outcome of a purge. */
export interface KvPurgeResult {
  success: true;
  purged: number;
}

const AT_ONCE = 16; // requests at a time where a filter stands for many keys
const OLD_MS = 30 * 60_000;

/** A bucket: dotted keys, each with its latest value and as much of its history as the bucket keeps. */
export class KV<T = string | Uint8Array> extends BucketReader<T> implements RoKV<T> {
  /** Sets a key, where `previousRevision` is given only if that is its revision; gives the new revision. */
  async put(key: string, value: T, options: KvPutOptions = {}): Promise<number> {
    const previous = previousOf(options);
    if (previous !== undefined) return this.#replace(key, value, previous, options.ttl);
    const { revision } = await this.#write<{ revision: number }>("set", this.parts(key), "unsent", {
      ...this.#stored(value),
      ttl: milliseconds(options.ttl),
    });
    return revision;
  }

  /** Sets a key that must not exist (or be deleted). */
  create(key: string, value: T, ttl?: number | string): Promise<number> {
    return this.#replace(key, value, 0, ttl);
  }

  /** Sets a key whose revision must be the given one. */
  update(key: string, value: T, revision: number, options: { ttl?: number | string | undefined } = {}): Promise<number> {
    return this.#replace(key, value, revision, options.ttl);
  }

  /** Deletes a key, leaving its history and a marker; of a filter, every key that matches. */
  delete(key: string, options: KvPrevious = {}): Promise<void> {
    return this.#remove("delete", key, previousOf(options));
  }

  /** Deletes a key and its history, leaving a marker (for as long as the bucket keeps markers). */
  purge(key: string, options: KvPrevious & { ttl?: number | string | undefined } = {}): Promise<void> {
    return this.#remove("purge", key, previousOf(options));
  }

  /** Removes every key, history and marker. */
  async purgeBucket(): Promise<KvPurgeResult> {
    const { purged } = await this.call<{ purged?: number }>("/bucket/purge", { name: this.bucket }, "unsent");
    return { success: true, purged: purged ?? 0 };
  }

  /** Removes markers older than so many ms (half an hour; 0: all). */
  async purgeDeletes(olderMs = OLD_MS): Promise<KvPurgeResult> {
    const body = { name: this.bucket, olderThan: Math.max(0, olderMs) };
    const { purged } = await this.call<{ purged?: number }>("/bucket/purge-deletes", body, "always");
    return { success: true, purged: purged ?? 0 };
  }

  /** Removes the bucket and all that is in it. */
  async destroy(): Promise<true> {
    await this.call("/bucket/destroy", { name: this.bucket }, "unsent");
    await this.close();
    return true;
  }

  /** The same bucket, for those who should only read. */
  readOnly(): RoKV<T> {
    return {
      get: this.get.bind(this),
      history: this.history.bind(this),
      watch: this.watch.bind(this),
      keys: this.keys.bind(this),
      status: this.status.bind(this),
    };
  }

  async #replace(key: string, value: T, revision: number, ttl?: number | string): Promise<number> {
    const parts = this.parts(key);
    const body = { ...this.#stored(value), ttl: milliseconds(ttl) };
    const create = (): Promise<{ revision: number }> => this.#write("create", parts, "checked", body);
    try {
      if (revision === 0) return (await create()).revision;
      return (await this.#write<{ revision: number }>("update", parts, "checked", { ...body, revision })).revision;
    } catch (error) {
      const current = await this.#current(error, parts);
      if (current.exists || current.revision !== revision || revision === 0) throw current.error;
    }
    // the revision is that of the marker which the key's deletion left: to go on from there is to create it
    return create().then(
      (made) => made.revision,
      async (error: unknown) => {
        throw (await this.#current(error, parts)).error;
      },
    );
  }

  async #remove(how: "delete" | "purge", key: string, revision: number | undefined): Promise<void> {
    const raw = this.encodeKey(key);
    if (isFilter(raw)) return this.#removeMatches(how, raw);
    const parts = this.parts(key);
    try {
      await this.#write(how, parts, revision === undefined ? "unsent" : "checked", { revision });
    } catch (error) {
      const current = await this.#current(error, parts);
      if (current.exists || current.revision !== revision) throw current.error;
    }
  }

  async #removeMatches(how: "delete" | "purge", filter: string): Promise<void> {
    checkFilter(filter);
    let batch: Promise<unknown>[] = [];
    for await (const raw of this.rawKeys(filter)) {
      batch.push(this.#write(how, raw.split("."), "unsent", {}));
      if (batch.length < AT_ONCE) continue;
      await Promise.all(batch);
      batch = [];
    }
    await Promise.all(batch);
  }

  // A conflict in the words that users of buckets know, with the revision of the key's marker where it is deleted.
  async #current(cause: unknown, key: string[]): Promise<{ error: unknown; exists: boolean; revision: number }> {
    if (!isKvsError(cause, "conflict")) throw cause;
    const exists = typeof cause.revision === "number";
    const revision = cause.revision ?? (await this.find(key))?.revision ?? 0;
    const error = new KvsError("conflict", `wrong last sequence: ${revision}`, { ...cause, revision, cause });
    return { error, exists, revision };
  }

  #write<A>(name: string, key: string[], repeat: "checked" | "unsent", body: object): Promise<A> {
    return this.call(`/kv/${name}`, { bucket: this.bucket, key, ...body }, repeat);
  }

  #stored(value: T): object {
    const stored: unknown = this.values ? this.values.encode(value) : value;
    if (typeof stored === "string") return encodeValue(new TextEncoder().encode(stored));
    if (stored instanceof Uint8Array) return encodeValue(stored);
    throw new TypeError("a value is a string or a Uint8Array; for others, give the bucket a codec");
  }
}

function previousOf({ previousRevision, previousSeq }: KvPrevious): number | undefined {
  return previousRevision ?? previousSeq;
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

// "1h30m", "90s", "250ms", or plain seconds, as headers have it elsewhere.
function milliseconds(ttl: number | string | undefined): number | undefined {
  if (typeof ttl !== "string") return ttl;
  if (/^\d+$/.test(ttl)) return Number(ttl) * 1000;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(ttl)) throw new TypeError(`a ttl is milliseconds or text such as "90s", not ${ttl}`);
  let sum = 0;
  for (const [, n, unit] of ttl.matchAll(/([\d.]+)(ms|s|m|h)/g)) sum += Number(n) * (UNITS[unit ?? ""] ?? 0);
  return Math.round(sum);
}

/** Opens a bucket, creating it with the options where there is none. @internal */
export async function openBucket<T>(transport: Transport, name: string, options: KvOptions<T>): Promise<KV<T>> {
  checkBucket(name);
  const { codec } = options;
  const single = codec && "encode" in codec;
  const codecs = single ? { key: undefined, value: codec } : { key: codec?.key, value: codec?.value };
  const bucket = new KV<T>(transport, name, codecs);
  try {
    await transport.call("/bucket/status", { name }, { repeat: "always", mode: "plain" });
    return bucket;
  } catch (error) {
    if (!isKvsError(error, "no_bucket")) throw error;
  }
  try {
    const body = { name, options: wireOptions(options as KvOptions<never>) };
    await transport.call("/bucket/create", body, { repeat: "always", mode: "plain" });
  } catch (error) {
    if (!isKvsError(error, "conflict")) throw error; // created by another just now, and open all the same
  }
  return bucket;
}
