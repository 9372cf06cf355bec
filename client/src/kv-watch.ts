// Watches of a bucket.
import { Feed } from "./feed.js";
import { Queued, type QueuedIterator } from "./iterator.js";
import type { WireEntry } from "./keys.js";
import type { Include } from "./position.js";
import type { Selector } from "./scan.js";
import { scope } from "./signal.js";
import type { Transport } from "./transport.js";
import type { KvEntry } from "./entry.js";

/** What of the past a watch starts with. */
export const KvWatchInclude = {
  /** The latest entry of each key. */
  LastPerKey: "last_per_key",
  /** Everything that is retained. */
  AllHistory: "all_history",
  /** Nothing. */
  UpdatesOnly: "updates_only",
} as const;
export type KvWatchInclude = (typeof KvWatchInclude)[keyof typeof KvWatchInclude];

/** How to watch a bucket. */
export interface KvWatchOptions {
  /** Key or filters (`*`: one part, `>`: the rest). */
  key?: string | readonly string[] | undefined;
  include?: KvWatchInclude | "latest" | "history" | "updates" | "" | undefined;
  /** From this revision on, in place of `include`. */
  resumeFromRevision?: number | undefined;
  /** As `include: "updates_only"`. */
  updatesOnly?: boolean | undefined;
  /** No values, only their lengths. */
  headers_only?: boolean | undefined;
  headersOnly?: boolean | undefined;
  /** No markers of deletes. */
  ignoreDeletes?: boolean | undefined;
  ignore_deletes?: boolean | undefined;
  /** Called when the initial entries were taken. */
  initializedFn?: (() => void) | undefined;
  /** Ends the watch. */
  signal?: AbortSignal | undefined;
}

/** The entries that a watch sees. */
export interface KvWatchIterator<T = string | Uint8Array> extends QueuedIterator<KvEntry<T>> {
  /** Resolves when the initial entries were taken (or are there, if nobody takes them yet). */
  readonly initialized: Promise<void>;
}

class Watched<E> extends Queued<E> {
  readonly initialized: Promise<void>;
  start!: () => void;

  constructor() {
    super();
    this.initialized = new Promise((resolve, reject) => {
      this.start = resolve;
      void this.closed.then((error) => (error ? reject(error) : resolve()));
    });
    this.initialized.catch(() => undefined); // whoever waits for it is told; nobody has to
  }
}

function included({ include, updatesOnly }: KvWatchOptions): Include {
  if (updatesOnly) return "updates";
  switch (include) {
    case undefined:
    case "":
    case "latest":
    case "last_per_key":
      return "latest";
    case "history":
    case "all_history":
      return "history";
    case "updates":
    case "updates_only":
      return "updates";
    default:
      throw new TypeError(`include is last_per_key, all_history or updates_only, not ${String(include)}`);
  }
}

/** Starts a watch; resolves once the server has answered. @internal */
export async function watchBucket<E>(
  transport: Transport,
  selector: Selector,
  options: KvWatchOptions,
  entry: (wire: WireEntry, delta: number, live: boolean) => E | null,
): Promise<Queued<E> & { initialized: Promise<void> }> {
  const queue = new Watched<E>();
  const span = scope([queue.stopped, options.signal]);
  const forget = transport.onClose(span.abort);
  const from = options.resumeFromRevision;
  const feed = {
    selector,
    include: included(options),
    since: from === undefined ? undefined : Math.max(0, from - 1),
    ignoreDeletes: options.ignoreDeletes ?? options.ignore_deletes,
    metaOnly: options.headersOnly ?? options.headers_only,
    mode: "raw",
    signal: span.signal,
  } as const;
  await new Promise<void>((started, refused) => {
    const sink = {
      entry: (wire: WireEntry, delta: number, live: boolean) => {
        started();
        const item = entry(wire, delta, live);
        return item === null ? undefined : queue.push(item);
      },
      ready: () => {
        started();
        queue.whenTaken(() => {
          queue.start();
          options.initializedFn?.();
        });
      },
    };
    new Feed(transport, feed, sink)
      .run()
      .then(
        () => queue.finish(),
        (error: Error) => {
          refused(error); // only the first settles
          queue.finish(error);
        },
      )
      .finally(() => {
        span.done();
        forget();
        started();
      });
  });
  return queue;
}
