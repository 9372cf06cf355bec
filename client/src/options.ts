/** How to reach the server, and how this client behaves. */
export interface KvsClientOptions {
  /** Where the application is mounted: `https://example.org/kvs`. */
  url: string;
  /** The access token. */
  token?: string | undefined;
  /** Bucket of the key-value calls. */
  bucket?: string | undefined;
  /** Read integers beyond 2^53 as bigints. */
  bigint?: boolean | undefined;
  /** Limit for a call, repetitions included (30000); what it asks to wait comes on top. */
  timeoutMs?: number | undefined;
  /** Repetitions where they are safe (4). */
  retries?: number | undefined;
  /** Interval of a watch's signs of life (15000). */
  heartbeatMs?: number | undefined;
  /** `false`: long polls in place of streams. */
  stream?: boolean | undefined;
  /** For every request; e.g. `X-KVS-Token` where a host strips `Authorization`. */
  headers?: Record<string, string> | undefined;
  /** In place of the global fetch. */
  fetch?: typeof fetch | undefined;
}

/** Options of any call. */
export interface CallOptions {
  /** Ends the call, which fails with its reason. */
  signal?: AbortSignal | undefined;
  /** In place of the client's `timeoutMs`. */
  timeoutMs?: number | undefined;
}

/** Options of calls that read values. */
export interface ReadOptions extends CallOptions {
  /** Integers beyond 2^53 as bigints. */
  bigint?: boolean | undefined;
  /** JSON values as {@link JsonText}. */
  raw?: boolean | undefined;
}

/** Ends a watch or a listener. */
export interface Cancelable {
  cancel(): void;
}
