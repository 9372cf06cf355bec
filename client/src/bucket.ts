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

/** Options of writes to a bucket. */
export interface KvPutOptions extends KvPrevious {
  /** ms until the entry expires. */
  ttl?: number | undefined;
}

/** The outcome of a purge. */
export interface KvPurgeResult {
  success: true;
  purged: number;
}

/** A bucket: dotted keys, each with its latest value and as much of its history as the bucket keeps. */
export interface KV<T = string | Uint8Array> extends RoKV<T> {
  readonly bucket: string;
  /** Sets a key; resolves to its new revision. */
  put(key: string, value: T, options?: KvPutOptions): Promise<number>;
  /** Sets a key that must not exist. */
  create(key: string, value: T, ttl?: number): Promise<number>;
  /** Sets a key that must be at `revision`. */
  update(key: string, value: T, revision: number, options?: { ttl?: number | undefined }): Promise<number>;
  /** Deletes a key, or all that match a filter; history stays. */
  delete(key: string, options?: KvPrevious): Promise<void>;
  /** As delete, but history goes too. */
  purge(key: string, options?: KvPutOptions): Promise<void>;
  /** Removes every key, history and marker. */
  purgeBucket(): Promise<KvPurgeResult>;
  /** Removes markers older than so many ms (30 min; 0: all). */
  purgeDeletes(olderMs?: number): Promise<KvPurgeResult>;
  /** Removes the bucket. */
  destroy(): Promise<true>;
  /** Ends every iterator of this bucket. */
  close(): Promise<void>;
  /** The bucket for those who only read. */
  readOnly(): RoKV<T>;
}

const AT_ONCE = 16; // requests at a time where a filter stands for many keys
const OLD_MS = 30 * 60_000;

/** @internal */
export class Bucket<T> extends BucketReader<T> implements KV<T> {
  async put(key: string, value: T, options: KvPutOptions = {}): Promise<number> {
    const previous = previousOf(options);
    if (previous !== undefined) return this.#replace(key, value, previous, options.ttl);
    const { revision } = await this.#write<{ revision: number }>("set", this.parts(key), "unsent", {
      ...this.#stored(value),
      ttl: options.ttl,
    });
    return revision;
  }

  create(key: string, value: T, ttl?: number): Promise<number> {
    return this.#replace(key, value, 0, ttl);
  }

  update(key: string, value: T, revision: number, options: { ttl?: number | undefined } = {}): Promise<number> {
    return this.#replace(key, value, revision, options.ttl);
  }

  delete(key: string, options: KvPrevious = {}): Promise<void> {
    return this.#remove("delete", key, previousOf(options));
  }

  purge(key: string, options: KvPutOptions = {}): Promise<void> {
    return this.#remove("purge", key, previousOf(options));
  }

  async purgeBucket(): Promise<KvPurgeResult> {
    const { purged } = await this.call<{ purged?: number }>("/bucket/purge", { name: this.bucket }, "unsent");
    return { success: true, purged: purged ?? 0 };
  }

  async purgeDeletes(olderMs = OLD_MS): Promise<KvPurgeResult> {
    const body = { name: this.bucket, olderThan: Math.max(0, olderMs) };
    const { purged } = await this.call<{ purged?: number }>("/bucket/purge-deletes", body, "always");
    return { success: true, purged: purged ?? 0 };
  }

  async destroy(): Promise<true> {
    await this.call("/bucket/destroy", { name: this.bucket }, "unsent");
    await this.close();
    return true;
  }

  readOnly(): RoKV<T> {
    return {
      get: this.get.bind(this),
      history: this.history.bind(this),
      watch: this.watch.bind(this),
      keys: this.keys.bind(this),
      status: this.status.bind(this),
    };
  }

  async #replace(key: string, value: T, revision: number, ttl?: number): Promise<number> {
    const parts = this.parts(key);
    const body = { ...this.#stored(value), ttl };
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

/** Opens a bucket, creating it with the options where there is none. @internal */
export async function openBucket<T>(transport: Transport, name: string, options: KvOptions<T>): Promise<KV<T>> {
  checkBucket(name);
  const { codec } = options;
  const single = codec && "encode" in codec;
  const codecs = single ? { key: undefined, value: codec } : { key: codec?.key, value: codec?.value };
  const bucket = new Bucket<T>(transport, name, codecs);
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
