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
  /** Bytes; of a value set as JSON, its text. */
  readonly value: Uint8Array;
  readonly revision: number;
  /** The same as `revision`. */
  readonly sequence: number;
  readonly created: Date;
  readonly expiresAt: Date | undefined;
  /** How many (in a watch: initial ones) follow. */
  readonly delta: number;
  /** Bytes of the value, even if not asked for. */
  readonly length: number;
  readonly operation: KvOperation;
  /** Not one of a watch's initial entries. */
  readonly isUpdate: boolean;
  /** As the codec gives it; undefined for deletes. */
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
export function makeEntry<T>(wire: WireEntry, context: EntryContext<T>): KvEntry<T> {
  const { codec, headersOnly, ...named } = context;
  const { revision, created, expiresAt, operation } = wire;
  const bytes = valueBytes(wire);
  const stored = headersOnly ? new Uint8Array(0) : bytes;
  const decode = (): T | undefined => (operation || headersOnly ? undefined : codec?.decode(stored));
  return {
    ...named,
    get value() {
      const decoded: unknown = decode();
      return decoded instanceof Uint8Array ? decoded : stored;
    },
    revision,
    sequence: revision,
    created: new Date(created),
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
    length: wire.length ?? bytes.length,
    operation: operation === "EXPIRE" ? "PURGE" : (operation ?? "PUT"),
    decoded() {
      // without a codec, T is what may be put, and bytes are of it
      return codec || operation ? decode() : (stored as T);
    },
    string() {
      return decoder.decode(this.value);
    },
    json<J>(reviver?: (this: unknown, key: string, value: unknown) => unknown): J {
      return JSON.parse(this.string(), reviver) as J;
    },
  };
}
