import { AtomicOperation } from "./atomic.js";
import { KvsError } from "./errors.js";
import {
  decodeEntry,
  encodeKey,
  encodeValue,
  type Entry,
  type Key,
  type WireEntry,
} from "./keys.js";
import { type List, Listing, type ListOptions, type ListSelector } from "./list.js";
import type { JsonText } from "./json.js";
import type { CallOptions, KvsClientOptions, ReadOptions } from "./options.js";
import { type Repeat, Transport } from "./transport.js";

/** Options of writes. */
export interface SetOptions extends CallOptions {
  /** ms until the entry expires. */
  ttl?: number | undefined;
}

/** What a key must be for one write to go through. */
export interface Expected {
  revision?: number | undefined;
  version?: number | undefined;
}

/** The outcome of a write. */
export interface WriteResult {
  ok: true;
  version: number;
  revision: number;
}

/** The state of the server. */
export interface Health {
  ok: boolean;
  /** Seconds. */
  uptime: number;
  version?: string;
  mode?: string;
}

/** The key-value calls. */
export class StoreClient {
  /** @internal */
  readonly transport: Transport;
  /** The leases of messages that this client was handed, by id. @internal */
  readonly leases = new Map<number, string>();

  constructor(options: KvsClientOptions) {
    this.transport = new Transport(options);
  }

  /** A key's entry, or null. */
  get(key: Key, options: ReadOptions & { raw: true; revision?: number | undefined }): Promise<Entry<JsonText> | null>;
  get<T = unknown>(key: Key, options?: ReadOptions & { revision?: number | undefined }): Promise<Entry<T> | null>;
  async get<T>(key: Key, options: ReadOptions & { revision?: number | undefined } = {}): Promise<Entry<T> | null> {
    const { entry } = await this.#read<{ entry: WireEntry | null }>("/kv/get", options, {
      key: encodeKey(key),
      revision: options.revision,
    });
    return entry && decodeEntry<T>(entry);
  }

  /** Entries of one moment, null where missing. */
  async getMany<T = unknown>(keys: readonly Key[], options: ReadOptions = {}): Promise<(Entry<T> | null)[]> {
    const body = { keys: keys.map(encodeKey) };
    const { entries } = await this.#read<{ entries: (WireEntry | null)[] }>("/kv/get-many", options, body);
    return entries.map((entry) => entry && decodeEntry<T>(entry));
  }

  /** Sets a key. */
  async set(key: Key, value: unknown, options: SetOptions = {}): Promise<WriteResult> {
    return this.#write("/kv/set", "unsent", options, { ...keyValue(key, value), ttl: options.ttl });
  }

  /** Sets a key that must not exist. */
  async create(key: Key, value: unknown, options: SetOptions = {}): Promise<WriteResult> {
    return this.#write("/kv/create", "checked", options, { ...keyValue(key, value), ttl: options.ttl });
  }

  /** Sets a key that must be as expected. */
  async update(key: Key, value: unknown, expected: Expected, options: SetOptions = {}): Promise<WriteResult> {
    const { revision, version } = expected;
    const body = { ...keyValue(key, value), ...(revision === undefined ? { version } : { revision }), ttl: options.ttl };
    return this.#write("/kv/update", "checked", options, body);
  }

  /** Deletes a key; a missing one is fine. */
  async delete(
    key: Key,
    options: CallOptions & Expected = {},
  ): Promise<{ ok: true; deleted: boolean; revision: number }> {
    const { revision, version } = options;
    const repeat = revision === undefined && version === undefined ? "unsent" : "checked";
    return this.#write("/kv/delete", repeat, options, { key: encodeKey(key), revision, version });
  }

  /** Adds to a number (0 where missing), exactly in 64 bits. */
  increment(key: Key, delta?: number, options?: SetOptions & ReadOptions): Promise<WriteResult & { value: number }>;
  increment(
    key: Key,
    delta: bigint,
    options?: SetOptions & ReadOptions,
  ): Promise<WriteResult & { value: number | bigint }>;
  async increment(
    key: Key,
    delta: number | bigint = 1,
    options: SetOptions & ReadOptions = {},
  ): Promise<WriteResult & { value: number | bigint }> {
    return this.#write("/kv/increment", "unsent", options, { key: encodeKey(key), delta, ttl: options.ttl });
  }

  /** `await` gives a page, `for await` every entry. */
  list<T = unknown>(selector: ListSelector = {}, options: ListOptions = {}): List<T> {
    return new Listing<T>(this.transport, selector, options);
  }

  /** All of it is done, or nothing. */
  atomic(): AtomicOperation {
    return new AtomicOperation(this.transport, this.leases);
  }

  /** Fails only where there is no answer. */
  async health(options?: CallOptions): Promise<Health> {
    try {
      return await this.transport.call("/health", undefined, { repeat: "always", method: "GET", options });
    } catch (error) {
      if (error instanceof KvsError && error.status === 503) return { ok: false, uptime: 0 };
      throw error;
    }
  }

  /** Removes every key of every bucket, and every message. */
  reset(options?: CallOptions): Promise<{ ok: true }> {
    return this.transport.call("/kv/reset", {}, { repeat: "unsent", options });
  }

  /** Removes what has expired. */
  cleanExpired(options?: CallOptions): Promise<{ ok: true; deleted: number }> {
    return this.transport.call("/kv/clean-expired", {}, { repeat: "unsent", options });
  }

  /** Any other endpoint, such as `/queue/stats`. */
  call<T = unknown>(path: string, body: object, options?: CallOptions): Promise<T> {
    return this.transport.call(path, body, { repeat: "unsent", options });
  }

  #read<T>(path: string, options: CallOptions & ReadOptions, body: object): Promise<T> {
    return this.transport.call(path, { bucket: this.transport.bucket, ...body }, { repeat: "always", options });
  }

  #write<T>(path: string, repeat: Repeat, options: CallOptions | undefined, body: object): Promise<T> {
    return this.transport.call(path, { bucket: this.transport.bucket, ...body }, { repeat, options });
  }
}

function keyValue(key: Key, value: unknown): object {
  return { key: encodeKey(key), ...encodeValue(value) };
}
