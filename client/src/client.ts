import { openBucket, type KV } from "./bucket.js";
import type { KvOptions } from "./bucket-options.js";
import { Counter } from "./counter.js";
import type { Entry, Key } from "./keys.js";
import type { QueuedIterator } from "./iterator.js";
import { listen, type ListenOptions } from "./listen.js";
import { Lock, type LockOptions } from "./lock.js";
import type { CallOptions, Cancelable } from "./options.js";
import { type Message, QueueClient } from "./queue.js";
import { conditionalUpdate, getAsync, type UpdateOptions, type UpdateResult } from "./update.js";
import { type WatchedEntries, type WatchOptions, watchCallback, watchIterator } from "./watch.js";
import { Worker, type WorkerHandler, type WorkerOptions } from "./worker.js";

/** The client: keys and values, queues, buckets, watches, locks. */
export class KvsClient extends QueueClient {
  /** `views.kv` is `kv`. */
  readonly views: { kv: KvsClient["kv"] } = { kv: (name, options) => this.kv(name, options) };

  /** Checks that the server is there. */
  async open(options?: CallOptions): Promise<void> {
    await this.transport.call("/health", undefined, { repeat: "always", method: "GET", options });
  }

  /** Ends every watch, listener and worker. */
  close(): void {
    this.transport.close();
  }

  /** The cached value, or else what compute gives, once per process at a time; the first process to finish sets it. */
  getAsync<T>(key: Key, compute: () => T | Promise<T>, ttl?: number): Promise<T> {
    return getAsync(this, key, compute, ttl);
  }

  /** Sets a key to what change makes of it (undefined: nothing), again where another was faster. */
  conditionalUpdate<T = unknown>(
    key: Key,
    change: (value: T | null, entry: Entry<T> | null) => T | undefined | Promise<T | undefined>,
    options: UpdateOptions = {},
  ): Promise<UpdateResult<T>> {
    return conditionalUpdate(this, key, change, options);
  }

  /** Calls back with all entries, now and at every change. */
  watch<T = unknown>(
    keys: readonly Key[],
    callback: (entries: WatchedEntries<T>) => void,
    options?: WatchOptions,
  ): Cancelable;
  /** All entries, now and after every change. */
  watch<T = unknown>(keys: readonly Key[], options?: WatchOptions): QueuedIterator<WatchedEntries<T>>;
  watch<T>(
    keys: readonly Key[],
    second?: ((entries: WatchedEntries<T>) => void) | WatchOptions,
    third?: WatchOptions,
  ): Cancelable | QueuedIterator<WatchedEntries<T>> {
    if (typeof second === "function") return watchCallback(this.transport, keys, second, third ?? {});
    return watchIterator(this.transport, keys, second ?? {});
  }

  /** Calls back with each message, to be acknowledged; throwing gives it back. */
  listen<T = unknown>(
    topic: string,
    callback: (message: Message<T>) => unknown,
    options: ListenOptions = {},
  ): Cancelable {
    return listen(this, topic, callback, options);
  }

  /** Has messages handled: acknowledged on return, given back on throw. */
  worker<T = unknown>(topic: string, handler: WorkerHandler<T>, options: WorkerOptions = {}): Worker<T> {
    return new Worker(this, topic, handler, options);
  }

  /** A lock that several processes agree on. */
  lock(name: string, options: LockOptions = {}): Lock {
    return new Lock(this.transport, name, options);
  }

  /** A number that many change at once. */
  counter(key: Key): Counter {
    return new Counter(this, key);
  }

  /** Opens a bucket, or creates it with the options. */
  kv<T = string | Uint8Array>(name: string, options: KvOptions<T> = {}): Promise<KV<T>> {
    return openBucket(this.transport, name, options);
  }

  /** As {@link KvsClient.kv}. */
  bucket<T = string | Uint8Array>(name: string, options: KvOptions<T> = {}): Promise<KV<T>> {
    return this.kv(name, options);
  }
}
