// The values of some keys, at once and at every change.
import { decodeEntry, encodeKey, keyName, type Entry, type Key } from "./keys.js";
import { Feed, type Sink } from "./feed.js";
import { isKvsError } from "./errors.js";
import { Queued, type QueuedIterator } from "./iterator.js";
import type { Cancelable } from "./options.js";
import { scope } from "./signal.js";
import type { Transport } from "./transport.js";

/** The entries of the watched keys, in their order; null where a key is missing. */
export type WatchedEntries<T = unknown> = (Entry<T> | null)[];

/** How to watch keys. */
export interface WatchOptions {
  /** Ends the watch. */
  signal?: AbortSignal | undefined;
  /** For what the callback throws, and what ends the watch. */
  onError?: ((error: unknown) => void) | undefined;
}

const WHOLE_MS = 5; // how long the rest of a transaction may take to arrive after its first entry

// The state of all keys. What one transaction changes is shown together.
class State<T> implements Sink {
  readonly #show: (entries: WatchedEntries<T>) => void | Promise<void>;
  readonly #entries: WatchedEntries<T>;
  readonly #index: ReadonlyMap<string, number[]>;
  #started = false;
  #changed = new Set<string>();
  #revision = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(keys: readonly Key[], show: (entries: WatchedEntries<T>) => void | Promise<void>) {
    this.#show = show;
    this.#entries = keys.map(() => null);
    const index = new Map<string, number[]>();
    keys.forEach((key, at) => {
      const name = keyName(encodeKey(key));
      index.set(name, [...(index.get(name) ?? []), at]);
    });
    this.#index = index;
  }

  async entry(wire: Parameters<Sink["entry"]>[0]): Promise<void> {
    if (this.#started && wire.revision > this.#revision) await this.#flush();
    this.#revision = wire.revision;
    const name = keyName(wire.key);
    const entry = wire.operation ? null : decodeEntry<T>(wire);
    for (const at of this.#index.get(name) ?? []) this.#entries[at] = entry;
    this.#changed.add(name);
    if (!this.#started) return;
    clearTimeout(this.#timer);
    if (this.#changed.size === this.#index.size) await this.#flush();
    else this.#timer = setTimeout(() => void this.#flush(), WHOLE_MS);
  }

  ready(): void {
    this.#started = true;
    this.#changed.add(""); // shown even where every key is missing
  }

  settled(): void | Promise<void> {
    if (this.#started) return this.#flush();
  }

  /** Changes were lost: the values are asked for anew, and keys that are gone must show it. */
  restart(): void {
    clearTimeout(this.#timer);
    this.#started = false;
    this.#entries.fill(null);
  }

  #flush(): void | Promise<void> {
    clearTimeout(this.#timer);
    if (this.#changed.size === 0) return;
    this.#changed.clear();
    return this.#show([...this.#entries]);
  }
}

/** @internal */
export function watchKeys<T>(
  transport: Transport,
  keys: readonly Key[],
  show: (entries: WatchedEntries<T>) => void | Promise<void>,
  options: WatchOptions & { patient?: boolean },
): Cancelable & { done: Promise<void> } {
  const span = scope([options.signal]);
  const forget = transport.onClose(span.abort);
  const state = new State<T>(keys, (entries) => (span.signal.aborted ? undefined : show(entries)));
  const selector = { bucket: transport.bucket, keys: keys.map(encodeKey) };
  const patient = options.patient ?? false;
  const run = async (): Promise<void> => {
    while (!span.signal.aborted) {
      try {
        const feed = { selector, include: "latest", mode: transport.mode, signal: span.signal, patient } as const;
        return await new Feed(transport, feed, state).run();
      } catch (error) {
        if (!isKvsError(error, "compacted")) throw error;
        state.restart();
      }
    }
  };
  const done = run().finally(() => {
    span.done();
    forget();
  });
  return { cancel: span.abort, done };
}

/** @internal */
export function watchCallback<T>(
  transport: Transport,
  keys: readonly Key[],
  callback: (entries: WatchedEntries<T>) => void,
  options: WatchOptions,
): Cancelable {
  const watch = watchKeys<T>(
    transport,
    keys,
    (entries) => {
      try {
        callback(entries);
      } catch (error) {
        report(error, options.onError);
      }
    },
    { ...options, patient: true },
  );
  watch.done.catch((error: unknown) => report(error, options.onError));
  return { cancel: watch.cancel };
}

/** @internal */
export function watchIterator<T>(
  transport: Transport,
  keys: readonly Key[],
  options: WatchOptions,
): QueuedIterator<WatchedEntries<T>> {
  const queue = new Queued<WatchedEntries<T>>();
  const watch = watchKeys<T>(transport, keys, (entries) => queue.push(entries), options);
  queue.stopped.addEventListener("abort", watch.cancel, { once: true });
  watch.done.then(
    () => queue.finish(),
    (error: Error) => queue.finish(error),
  );
  return queue;
}

/** Hands an error to its handler; without one it becomes the runtime's uncaught error, and is not lost. @internal */
export function report(error: unknown, handler: ((error: unknown) => void) | undefined): void {
  if (handler) handler(error);
  else
    setTimeout(() => {
      throw error;
    }, 0);
}
