import type { KvCodec, KvCodecs } from "./codec.js";

/** Which changes go to a queue topic as well, in the same transaction. */
export interface KvRepublish {
  /** Dotted filter of keys (">": all). */
  src?: string | undefined;
  /** The queue topic. */
  dest?: string | undefined;
  /** Without values. */
  headers_only?: boolean | undefined;
  /** As `src`. */
  filter?: string | undefined;
  /** As `dest`. */
  topic?: string | undefined;
  /** As `headers_only`. */
  metaOnly?: boolean | undefined;
}

/** A bucket's properties. Where two names stand for one, either may be used. */
export interface KvOptions<T = string | Uint8Array> {
  /** Values kept per key, markers included (1). */
  history?: number | undefined;
  /** Age at which entries expire, ms (0: never). */
  ttl?: number | undefined;
  /** Bytes (-1: the server's limit). */
  maxValueSize?: number | undefined;
  max_value_size?: number | undefined;
  /** Bytes kept in all (-1: no limit). */
  maxBytes?: number | undefined;
  max_bytes?: number | undefined;
  max_bucket_size?: number | undefined;
  /** The most keys (-1: no limit). */
  maxKeys?: number | undefined;
  /** How long deletes stay visible to watchers, ms. */
  markerTtl?: number | undefined;
  replicas?: number | undefined;
  description?: string | undefined;
  metadata?: Record<string, string> | undefined;
  /** "memory": gone at reboot. */
  storage?: "file" | "memory" | undefined;
  compression?: boolean | undefined;
  placement?: object | null | undefined;
  republish?: KvRepublish | null | undefined;
  mirror?: object | null | undefined;
  sources?: readonly object[] | undefined;
  /** For keys and values, or one for values. */
  codec?: KvCodecs<T> | KvCodec<T> | undefined;
}

/** The server's options, its status included. @internal */
export interface WireStatus {
  name: string;
  history: number;
  ttl: number;
  maxValueSize: number;
  maxBytes: number;
  maxKeys: number;
  markerTtl: number;
  description: string;
  metadata: Record<string, string>;
  storage: "file" | "memory";
  compression: boolean;
  replicas: number;
  placement: object | null;
  republish: { filter: string; topic: string; metaOnly?: boolean } | null;
  mirror: object | null;
  sources: object[];
  values: number;
  keys: number;
  bytes: number;
  revision: number;
  compacted: number;
  created: number;
  limits?: Record<string, unknown>;
}

// Options that have one name, here and there.
const PLAIN = [
  "history",
  "ttl",
  "maxKeys",
  "markerTtl",
  "replicas",
  "description",
  "metadata",
  "storage",
  "compression",
  "placement",
  "mirror",
  "sources",
] as const;

/** The options in the server's names; what was not given is left out. @internal */
export function wireOptions(options: KvOptions<never>): Record<string, unknown> {
  const { republish } = options;
  return {
    ...Object.fromEntries(PLAIN.map((name) => [name, options[name]])),
    maxValueSize: options.maxValueSize ?? options.max_value_size,
    maxBytes: options.maxBytes ?? options.max_bytes ?? options.max_bucket_size,
    republish: republish && {
      filter: republish.filter ?? republish.src ?? ">",
      topic: republish.topic ?? republish.dest,
      metaOnly: republish.metaOnly ?? republish.headers_only ?? false,
    },
  };
}

/** The state of a bucket; sizes in bytes, what has two names under both. */
export interface KvStatus extends Required<Omit<KvOptions, "codec" | "republish" | "mirror" | "sources" | "placement">> {
  bucket: string;
  /** Revisions kept, markers included. */
  values: number;
  /** Keys that exist. */
  keys: number;
  /** Bytes kept. */
  size: number;
  republish: Required<KvRepublish> | null;
  placement: object | null;
  mirror: object | null;
  sources: readonly object[];
  bucket_location: string;
  backingStore: "kvs";
  streamInfo: { created: Date; state: { messages: number; bytes: number; first_seq: number; last_seq: number } };
  limits: Record<string, unknown>;
}

/** @internal */
export function statusOf(wire: WireStatus, first: number): KvStatus {
  const { name, bytes, revision, created, republish, maxValueSize, maxBytes, limits, ...same } = wire;
  return {
    ...same,
    bucket: name,
    bucket_location: "",
    backingStore: "kvs",
    size: bytes,
    maxValueSize,
    max_value_size: maxValueSize,
    maxBytes,
    max_bytes: maxBytes,
    max_bucket_size: maxBytes,
    republish: republish && both(republish),
    streamInfo: {
      created: new Date(created),
      state: { messages: wire.values, bytes, first_seq: first, last_seq: revision },
    },
    limits: limits ?? {},
  };
}

function both({ filter, topic, metaOnly = false }: NonNullable<WireStatus["republish"]>): Required<KvRepublish> {
  return { filter, src: filter, topic, dest: topic, metaOnly, headers_only: metaOnly };
}
