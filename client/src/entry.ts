import type { KvCodec } from "./codec.js";
import { valueBytes, type WireEntry } from "./keys.js";

/** What was done to a key: set, deleted, or deleted with its history (or by its age). */
export type KvOperation = "PUT" | "DEL" | "PURGE";

/** One revision of a key in a bucket. */
export interface KvEntry<T = string | Uint8Array> {
  readonly bucket: string;
  readonly key: string;
  /** The key as it is stored, before its codec. */
  readonly rawKey: string;
  /** The value's bytes; empty for deletes, and where only the head was asked for. A value that was set as JSON: its text. */
  readonly value: Uint8Array;
  readonly revision: number;
  /** The same as `revision`. */
  readonly sequence: number;
  readonly created: Date;
  readonly expiresAt: Date | undefined;
  /** How many entries of the same answer, or initial ones of a watch, follow. */
  readonly delta: number;
  /** The length of the value in bytes, also where it was not asked for. */
  readonly length: number;
  readonly operation: KvOperation;
  /** In a watch: not one of the initial entries. */
  readonly isUpdate: boolean;
  /** The value as the codec gives it; without one, the bytes; for deletes, undefined. */
  decoded(): T | undefined;
  /** The value as text. */
  string(): string;
  /** The value as JSON. */
  json<J = unknown>(reviver?: (this: unknown, key: string, value: unknown) => unknown): J;
}

/** What an entry is, beside what the server says of it. @internal */
export interface EntryContext<T> {
  bucket: string;
  key: string;
  rawKey: string;
  codec: KvCodec<T> | undefined;
  headersOnly: boolean;
  delta: number;
  isUpdate: boolean;
}

const decoder = new TextDecoder();

/** @internal */
export class StoredEntry<T> implements KvEntry<T> {
  readonly bucket: string;
  readonly key: string;
  readonly rawKey: string;
  readonly revision: number;
  readonly sequence: number;
  readonly created: Date;
  readonly expiresAt: Date | undefined;
  readonly delta: number;
  readonly length: number;
  readonly operation: KvOperation;
  readonly isUpdate: boolean;
  readonly #codec: KvCodec<T> | undefined;
  readonly #stored: Uint8Array;
  readonly #headersOnly: boolean;

  constructor(wire: WireEntry, context: EntryContext<T>) {
    const stored = valueBytes(wire);
    this.#stored = context.headersOnly ? new Uint8Array(0) : stored;
    this.#headersOnly = context.headersOnly;
    this.#codec = context.codec;
    this.bucket = context.bucket;
    this.key = context.key;
    this.rawKey = context.rawKey;
    this.revision = wire.revision;
    this.sequence = wire.revision;
    this.created = new Date(wire.created);
    this.expiresAt = wire.expiresAt === undefined ? undefined : new Date(wire.expiresAt);
    this.delta = context.delta;
    this.length = wire.length ?? stored.length;
    this.operation = wire.operation === "EXPIRE" ? "PURGE" : (wire.operation ?? "PUT");
    this.isUpdate = context.isUpdate;
  }

  get value(): Uint8Array {
    const decoded: unknown = this.#decode();
    return decoded instanceof Uint8Array ? decoded : this.#stored;
  }

  decoded(): T | undefined {
    // without a codec, T is what may be put, and bytes are of it
    return this.#codec || this.operation !== "PUT" ? this.#decode() : (this.#stored as T);
  }

  string(): string {
    return decoder.decode(this.value);
  }

  json<J>(reviver?: (this: unknown, key: string, value: unknown) => unknown): J {
    return JSON.parse(this.string(), reviver) as J;
  }

  #decode(): T | undefined {
    return this.operation === "PUT" && !this.#headersOnly ? this.#codec?.decode(this.#stored) : undefined;
  }
}
