/** How to reach the server, and how this client behaves. */
export interface KvsClientOptions {
  /** Where the application is mounted: `https://example.org/kvs`. */
  url: string;
  /** The access token. */
  token?: string | undefined;
  /** The bucket of the key-value calls; without one, the default bucket. */
  bucket?: string | undefined;
  /** Integers beyond 2^53 in values come as bigints, instead of rounded numbers. */
  bigint?: boolean | undefined;
  /** The time a call may take, repetitions included, in ms (30000). Waiting that a call asks for comes on top. */
  timeoutMs?: number | undefined;
  /** How often a call is tried again where that is safe (4). */
  retries?: number | undefined;
  /** Milliseconds between a watch's signs of life (15000). */
  heartbeatMs?: number | undefined;
  /** `false`: watches and listeners use long polls at once, without trying to stream. */
  stream?: boolean | undefined;
  /** Further headers for every request, such as `X-KVS-Token` where a host strips `Authorization`. */
  headers?: Record<string, string> | undefined;
  /** In place of the global fetch. */
  fetch?: typeof fetch | undefined;
}

/** Options of any call. */
export interface CallOptions {
  /** Ends the call; it then fails with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** In place of the client's `timeoutMs`. */
  timeoutMs?: number | undefined;
}

/** Options of calls that read values. */
export interface ReadOptions extends CallOptions {
  /** Integers beyond 2^53 come as bigints. */
  bigint?: boolean | undefined;
  /** JSON values come as {@link JsonText}, exactly as they are stored. */
  raw?: boolean | undefined;
}

/** Ends a watch or a listener. */
export interface Cancelable {
  cancel(): void;
}
