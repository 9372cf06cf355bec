export { KvsClient } from "./client.js";
export { isKvsError, KvsError, type KvsErrorCode } from "./errors.js";
export type { CallOptions, Cancelable, KvsClientOptions, ReadOptions } from "./options.js";
export type { Entry, Key, KeyPart } from "./keys.js";
export { JsonText } from "./json.js";
export type { Expected, Health, SetOptions, StoreClient, WriteResult } from "./store.js";
export type { List, ListOptions, ListPage, ListSelector } from "./list.js";
export type { AtomicOperation, AtomicResult, Check, MutationResult } from "./atomic.js";
export type { DequeueOptions, EnqueueOptions, LeaseOptions, Message, QueueClient } from "./queue.js";
export type { WatchedEntries, WatchOptions } from "./watch.js";
export type { ListenOptions } from "./listen.js";
export type { Worker, WorkerContext, WorkerHandler, WorkerOptions } from "./worker.js";
export type { AcquireOptions, HeldLock, Lock, LockOptions } from "./lock.js";
export type { Counter } from "./counter.js";
export type { UpdateOptions, UpdateResult } from "./update.js";
export type { QueuedIterator } from "./iterator.js";
export type { KV, KvPrevious, KvPurgeResult, KvPutOptions } from "./bucket.js";
export type { KvSelector, RoKV } from "./bucket-reader.js";
export type { KvOptions, KvRepublish, KvStatus } from "./bucket-options.js";
export type { KvEntry, KvOperation } from "./entry.js";
export { KvWatchInclude, type KvWatchIterator, type KvWatchOptions } from "./kv-watch.js";
export {
  Base64KeyCodec,
  JSONCodec,
  type KvCodec,
  type KvCodecs,
  NoopKvCodecs,
  StringCodec,
} from "./codec.js";
