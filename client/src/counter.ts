import { KvsError } from "./errors.js";
import type { Key } from "./keys.js";
import type { CallOptions } from "./options.js";
import type { SetOptions, StoreClient } from "./store.js";

/** A number that many change at once; beyond 2^53 it fails rather than round. */
export class Counter {
  readonly key: Key;
  readonly #client: StoreClient;

  /** @internal */
  constructor(client: StoreClient, key: Key) {
    this.#client = client;
    this.key = key;
  }

  /** The count. */
  async get(options: CallOptions = {}): Promise<number> {
    return this.#safe((await this.#client.get<number>(this.key, { ...options, bigint: true }))?.value ?? 0);
  }

  /** Adds; resolves to the new count. */
  async add(delta = 1, options: SetOptions = {}): Promise<number> {
    return this.#safe((await this.#client.increment(this.key, delta, { ...options, bigint: true })).value);
  }

  /** Adds 1. */
  increment(options?: SetOptions): Promise<number> {
    return this.add(1, options);
  }

  /** Takes 1 off. */
  decrement(options?: SetOptions): Promise<number> {
    return this.add(-1, options);
  }

  /** Starts anew at 0. */
  async reset(options: CallOptions = {}): Promise<void> {
    await this.#client.delete(this.key, options);
  }

  #safe(value: number | bigint): number {
    if (typeof value === "number") return value;
    throw new KvsError("bad_response", "the count is beyond 2^53: read it with get() and bigint");
  }
}
