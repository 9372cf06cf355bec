import { type WireStatus, type KvStatus, statusOf } from "./bucket-options.js";
import type { KvCodec } from "./codec.js";
import { type KvEntry, makeEntry } from "./entry.js";
import { Queued, type QueuedIterator } from "./iterator.js";
import { type KvWatchIterator, type KvWatchOptions, watchBucket } from "./kv-watch.js";
import type { WireEntry, WireKey } from "./keys.js";
import { checkFilter, checkKey, dotted } from "./names.js";
import { history, scanKeys, type Selector } from "./scan.js";
import type { Transport } from "./transport.js";

/** Keys: one, filters (`*`: one part, `>`: the rest), or an object that has them. */
export type KvSelector =
  | string
  | readonly string[]
  | {
      key?: string | readonly string[] | undefined;
      headers_only?: boolean | undefined;
      headersOnly?: boolean | undefined;
    };

/** A bucket that is only read. */
export interface RoKV<T = string | Uint8Array> {
  /** A key's latest entry (a deleted one's marker), or that of a revision. */
  get(key: string, options?: { revision?: number | undefined }): Promise<KvEntry<T> | null>;
  /** What is retained, markers too, oldest first. */
  history(selector?: KvSelector): Promise<QueuedIterator<KvEntry<T>>>;
  /** What is there, and then what changes. */
  watch(options?: KvWatchOptions): Promise<KvWatchIterator<T>>;
  /** Keys that exist. */
  keys(selector?: KvSelector): Promise<QueuedIterator<string>>;
  /** Options and counts. */
  status(): Promise<KvStatus>;
}

/** What reads a bucket. @internal */
export class BucketReader<T> implements RoKV<T> {
  readonly bucket: string;
  /** @internal */
  protected readonly transport: Transport;
  /** @internal */
  protected readonly values: KvCodec<T> | undefined;
  readonly #keyCodec: KvCodec<string, string> | undefined;
  readonly #open = new Set<QueuedIterator<unknown>>();

  constructor(
    transport: Transport,
    bucket: string,
    codecs: { key: KvCodec<string, string> | undefined; value: KvCodec<T> | undefined },
  ) {
    this.transport = transport;
    this.bucket = bucket;
    this.values = codecs.value;
    this.#keyCodec = codecs.key;
  }

  async get(key: string, { revision }: { revision?: number | undefined } = {}): Promise<KvEntry<T> | null> {
    const entry = await this.find(this.parts(key), revision);
    return entry && this.#entry(entry, {});
  }

  async history(selector?: KvSelector): Promise<QueuedIterator<KvEntry<T>>> {
    const headersOnly = headOnly(selector);
    const queue = this.#track(new Queued<KvEntry<T>>());
    const found: WireEntry[] = [];
    let last = Infinity;
    for await (const entry of history(this.transport, this.select(selector), { mode: "raw", signal: queue.stopped })) {
      if (entry.revision > last) break; // written since, perhaps faster than can be read
      if (dotted(entry.key) !== null && found.push(entry) === 1000) last = (await this.#wireStatus()).revision;
    }
    let delta = found.length;
    for (const entry of found) void queue.push(this.#entry(entry, { headersOnly, delta: --delta }));
    queue.finish();
    return queue;
  }

  async watch(options: KvWatchOptions = {}): Promise<KvWatchIterator<T>> {
    const headersOnly = headOnly(options);
    const filter = this.select(options.key).filter;
    const selector = { bucket: this.bucket, ...(filter !== ">" && { filter }) };
    const queue = await watchBucket(this.transport, selector, options, (wire, delta, isUpdate) =>
      dotted(wire.key) === null ? null : this.#entry(wire, { headersOnly, delta, isUpdate }),
    );
    return this.#track(queue);
  }

  async keys(selector?: KvSelector): Promise<QueuedIterator<string>> {
    const queue = this.#track(new Queued<string>());
    const found = scanKeys(this.transport, this.select(selector), { signal: queue.stopped });
    const first = await found.next(); // so that a refusal is this call's
    const rest = async (): Promise<void> => {
      for (let next = first; !next.done; next = await found.next()) {
        const raw = dotted(next.value);
        if (raw !== null) await queue.push(this.#decodeKey(raw));
      }
    };
    rest().then(
      () => queue.finish(),
      (error: Error) => queue.finish(error),
    );
    return queue;
  }

  async status(): Promise<KvStatus> {
    const selector = { bucket: this.bucket, filter: ">", limit: 1 };
    const [status, { entries }] = await Promise.all([
      this.#wireStatus(),
      this.call<{ entries: WireEntry[] }>("/kv/history", selector, "always"),
    ]);
    return statusOf(status, entries[0]?.revision ?? (status.revision === 0 ? 0 : status.revision + 1));
  }

  /** Ends every iterator of this bucket. */
  close(): Promise<void> {
    for (const queue of this.#open) queue.stop();
    return Promise.resolve();
  }

  /** A key's latest entry, marker included, or that of one revision. */
  protected async find(key: WireKey, revision?: number): Promise<WireEntry | null> {
    const body = { bucket: this.bucket, key, revision, markers: true };
    return (await this.call<{ entry: WireEntry | null }>("/kv/get", body, "always")).entry;
  }

  protected call<A>(path: string, body: object, repeat: "always" | "checked" | "unsent"): Promise<A> {
    return this.transport.call(path, body, { repeat, mode: "raw" });
  }

  /** Existing keys in their stored form. */
  protected async *rawKeys(filter: string): AsyncGenerator<string, void, void> {
    for await (const key of scanKeys(this.transport, { bucket: this.bucket, filter })) {
      const raw = dotted(key);
      if (raw !== null) yield raw;
    }
  }

  /** The stored form of a key, which must be no filter. */
  protected parts(key: string): string[] {
    const raw = this.encodeKey(key);
    checkKey(raw);
    return raw.split(".");
  }

  protected encodeKey(key: string): string {
    return this.#keyCodec ? this.#keyCodec.encode(key) : key;
  }

  protected select(selector: KvSelector | undefined): Selector & { filter: string | string[] } {
    const given =
      typeof selector === "object" && "key" in selector ? selector.key : (selector as string | readonly string[]);
    const chosen = given === undefined || (typeof given === "object" && !Array.isArray(given)) ? ">" : given;
    const filters = (typeof chosen === "string" ? [chosen] : chosen).map((key) => {
      const raw = this.encodeKey(key);
      checkFilter(raw);
      return raw;
    });
    const [only] = filters;
    return { bucket: this.bucket, filter: filters.length === 1 && only !== undefined ? only : filters };
  }

  #decodeKey(raw: string): string {
    return this.#keyCodec ? this.#keyCodec.decode(raw) : raw;
  }

  async #wireStatus(): Promise<WireStatus> {
    const body = { name: this.bucket };
    const call = { repeat: "always", mode: "plain" } as const;
    return (await this.transport.call<{ bucket: WireStatus }>("/bucket/status", body, call)).bucket;
  }

  #entry(
    wire: WireEntry,
    { headersOnly = false, delta = 0, isUpdate = false }: { headersOnly?: boolean; delta?: number; isUpdate?: boolean },
  ): KvEntry<T> {
    const rawKey = wire.key.join(".");
    const key = this.#decodeKey(rawKey);
    return makeEntry(wire, { bucket: this.bucket, key, rawKey, codec: this.values, headersOnly, delta, isUpdate });
  }

  #track<Q extends QueuedIterator<unknown>>(queue: Q): Q {
    this.#open.add(queue);
    void queue.closed.then(() => this.#open.delete(queue));
    return queue;
  }
}

function headOnly(selector: KvSelector | KvWatchOptions | undefined): boolean {
  if (typeof selector !== "object" || Array.isArray(selector)) return false;
  const { headersOnly, headers_only } = selector as { headersOnly?: boolean; headers_only?: boolean };
  return headersOnly ?? headers_only ?? false;
}
