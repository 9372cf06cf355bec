import { encodeKey, encodeValue, json, type Key, type WireKey } from "./keys.js";
import type { CallOptions } from "./options.js";
import type { EnqueueOptions } from "./queue.js";
import type { Transport } from "./transport.js";

/** What a key must be for an atomic operation to go through, by version or by revision; null: it must not exist. */
export interface Check {
  key: Key;
  version?: number | null | undefined;
  revision?: number | null | undefined;
}

/** The outcome of an atomic operation: `failed` are the checks that did not hold, by their number. */
export type AtomicResult =
  | { ok: true; version: number; revision: number; results: MutationResult[]; ids: number[] }
  | { ok: false; failed: number[]; version?: undefined };

/** What a mutation made: a set its version, an increment its value too. */
export interface MutationResult {
  version?: number;
  value?: number;
}

interface Mutation {
  type: "set" | "delete" | "increment" | "touch" | "purge";
  key: WireKey;
  [field: string]: unknown;
}

/** All of it is done, or nothing. */
export class AtomicOperation {
  readonly #transport: Transport;
  readonly #leases: ReadonlyMap<number, string>;
  readonly #checks: { key: WireKey; version?: number | null; revision?: number | null }[] = [];
  readonly #mutations: Mutation[] = [];
  readonly #enqueues: object[] = [];
  readonly #acks: object[] = [];

  /** @internal */
  constructor(transport: Transport, leases: ReadonlyMap<number, string>) {
    this.#transport = transport;
    this.#leases = leases;
  }

  /** Adds checks; an entry that was read is one. */
  check(...checks: Check[]): this {
    for (const { key, version, revision } of checks) {
      // an entry has both, and its version counts
      const expected = version !== undefined ? { version } : revision !== undefined ? { revision } : undefined;
      if (!expected) throw new TypeError("a check has a version or a revision (null: the key must not exist)");
      this.#checks.push({ key: encodeKey(key), ...expected });
    }
    return this;
  }

  /** Sets a key. */
  set(key: Key, value: unknown, options: { ttl?: number | undefined } = {}): this {
    return this.#add("set", key, { ...encodeValue(value), ttl: options.ttl });
  }

  /** Deletes a key. */
  delete(key: Key): this {
    return this.#add("delete", key, {});
  }

  /** Adds to a number; creates the key with `delta`. */
  increment(key: Key, delta: number | bigint = 1, options: { ttl?: number | undefined } = {}): this {
    return this.#add("increment", key, { delta, ttl: options.ttl });
  }

  /** Changes the expiry; 0: never. */
  touch(key: Key, ttl: number): this {
    return this.#add("touch", key, { ttl });
  }

  /** Deletes a key and its history. */
  purge(key: Key): this {
    return this.#add("purge", key, {});
  }

  /** Enqueues a message. */
  enqueue(payload: unknown, options: EnqueueOptions = {}): this {
    const { signal: _, timeoutMs: __, ...rest } = options;
    this.#enqueues.push({ payload: json(payload, "payload"), options: rest });
    return this;
  }

  /** Settles a message; if its lease is lost, all fails. */
  acknowledge(id: number, lease = this.#leases.get(id)): this {
    if (lease === undefined) throw new TypeError(`message ${id} was not handed to this client: its lease is not known`);
    this.#acks.push({ id, lease });
    return this;
  }

  /** Carries it out. */
  async commit(options?: CallOptions): Promise<AtomicResult> {
    const body = {
      bucket: this.#transport.bucket,
      checks: this.#checks,
      mutations: this.#mutations,
      enqueues: this.#enqueues,
      ...(this.#acks.length > 0 && { acks: this.#acks }),
    };
    return this.#transport.call("/kv/atomic", body, { repeat: this.#guarded() ? "checked" : "unsent", options });
  }

  #add(type: Mutation["type"], key: Key, fields: object): this {
    this.#mutations.push({ type, key: encodeKey(key), ...fields });
    return this;
  }

  // Whether a repetition must fail once this has been carried out: a check on a key that this changes, or a lease used up.
  #guarded(): boolean {
    if (this.#acks.length > 0) return true;
    return this.#checks.some((check) => {
      const name = JSON.stringify(check.key);
      const last = this.#mutations.filter(({ key }) => JSON.stringify(key) === name).at(-1)?.type;
      if (last === undefined) return false;
      const mustExist = (check.version ?? check.revision ?? null) !== null;
      if (last === "delete" || last === "purge") return mustExist;
      return last !== "touch" || check.revision !== undefined;
    });
  }
}
