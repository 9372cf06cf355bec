// One uninterrupted sequence of changes, over streams that are cut and resumed, or over long polls where streams do not
// come through. Nothing is lost and nothing comes twice.
import { isKvsError } from "./errors.js";
import type { ReadMode } from "./json.js";
import { keyName, type WireEntry, valueBytes } from "./keys.js";
import { type Include, Position } from "./position.js";
import { Failure } from "./retry.js";
import { history, type Selector } from "./scan.js";
import { backoff, pause } from "./signal.js";
import { Silence, stream } from "./stream.js";
import type { Transport } from "./transport.js";

/** @internal */
export interface FeedOptions {
  selector: Selector;
  include: Include;
  since?: number | undefined;
  ignoreDeletes?: boolean | undefined;
  metaOnly?: boolean | undefined;
  mode: ReadMode;
  /** Wait for a server that was never reached, too. */
  patient?: boolean;
  signal: AbortSignal;
}

/** Who gets the sequence; a promise holds it back. @internal */
export interface Sink {
  /** An entry, how many initial ones follow it, and whether it is none of them. */
  entry(entry: WireEntry, pending: number, live: boolean): void | Promise<void>;
  /** Once: the initial entries are all there. */
  ready(): void;
  /** A sign of life: what came so far is whole. */
  settled?(): void;
}

type Line =
  | { type: "entry"; entry: WireEntry; pending?: number }
  | { type: "ready" | "heartbeat"; revision: number }
  | { type: "end"; reason: string; revision: number };

interface Page {
  entries: WireEntry[];
  revision: number;
  pending: number;
}

const WAIT_MS = 20_000;
const SILENCES = 2; // streams without a line before long polls take over

/** @internal */
export class Feed {
  readonly #transport: Transport;
  readonly #options: FeedOptions;
  readonly #sink: Sink;
  readonly #position: Position;
  #silences = 0;
  #failures = 0;
  #heard = false;

  constructor(transport: Transport, options: FeedOptions, sink: Sink) {
    this.#transport = transport;
    this.#options = options;
    this.#sink = sink;
    this.#position = new Position(options.include, options.since);
  }

  /** Runs until the signal is aborted or the bucket is gone; fails where the server refuses, or was never reached. */
  async run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        if (this.#transport.streams) await this.#follow();
        else await this.#poll();
      } catch (error) {
        if (signal.aborted) return;
        if (this.#over(error)) return;
        if (isKvsError(failureOf(error), "compacted")) continue;
        await pause(backoff(this.#failures++), signal).catch(() => undefined);
      }
    }
  }

  // Whether the sequence ends here. Throws what the caller has to know; returns false where it goes on.
  #over(error: unknown): boolean {
    const told = failureOf(error);
    if (error instanceof Silence) {
      if (error.heldBack || ++this.#silences >= SILENCES) this.#transport.streamsFail();
      return false;
    }
    if (this.#heard && isKvsError(told, "no_bucket")) return true;
    if (isKvsError(told, "compacted") && this.#position.skipTo(told.revision)) return false;
    const passing = error instanceof Failure ? error.passing : isKvsError(told) && isPassing(told.code, told.status);
    const patience = this.#heard || this.#options.patient ? Infinity : this.#transport.retries;
    if (!passing || this.#failures >= patience) throw told;
    return false;
  }

  async #follow(): Promise<void> {
    const { selector, ignoreDeletes, metaOnly, mode, signal } = this.#options;
    const body = { ...selector, ignoreDeletes, metaOnly, ...this.#position.request() };
    for await (const line of stream<Line>(this.#transport, "/kv/watch", body, mode, signal)) {
      this.#alive();
      if (line.type === "entry") await this.#deliver(line.entry, line.pending ?? 0);
      else if (line.type === "ready") this.#ready(line.revision);
      else if (line.type === "heartbeat") this.#reached(line.revision);
      else break;
      if (signal.aborted) return;
    }
    if (!signal.aborted) await pause(backoff(0), signal);
  }

  async #poll(): Promise<void> {
    const { selector, signal } = this.#options;
    if (!this.#position.ready && this.#options.since === undefined) await this.#initial();
    while (!signal.aborted && !this.#transport.streams) {
      const waitMs = this.#position.ready ? WAIT_MS : 0;
      const page = await this.#ask<Page>("/kv/changes", { ...selector, since: this.#position.resume, limit: 1000 }, waitMs);
      let left = page.entries.length + page.pending;
      for (const entry of page.entries) await this.#deliver(this.#shown(entry), --left);
      if (!this.#position.ready && page.pending === 0) this.#ready(page.revision);
      this.#reached(page.revision);
    }
  }

  // What a watch sends first, by requests. What changes meanwhile has a revision above the one that was asked for first.
  async #initial(): Promise<void> {
    const { selector, include, ignoreDeletes } = this.#options;
    const name = selector.bucket ?? "default";
    const { bucket } = await this.#ask<{ bucket: { revision: number } }>("/bucket/status", { name });
    const found = new Map<string, WireEntry>();
    for (const chosen of include === "updates" ? [] : this.#selections()) {
      for await (const entry of history(this.#transport, chosen, this.#options)) {
        if (entry.revision > bucket.revision) break;
        const name = keyName(entry.key) + (include === "history" ? entry.revision : "");
        found.delete(name); // so that the order stays that of revisions
        found.set(name, entry);
      }
    }
    const entries = [...found.values()].filter(({ operation }) => !ignoreDeletes || operation === undefined);
    entries.sort((a, b) => a.revision - b.revision);
    let left = entries.length;
    for (const entry of entries) await this.#deliver(this.#shown(entry), --left);
    this.#ready(bucket.revision);
  }

  // The selector as the history call takes it.
  #selections(): Selector[] {
    const { bucket, key, keys, filter } = this.#options.selector;
    if (keys) return keys.map((one) => ({ bucket, key: one }));
    return [key ? { bucket, key } : { bucket, filter: filter ?? ">" }];
  }

  #shown(entry: WireEntry): WireEntry {
    if (!this.#options.metaOnly || entry.operation) return entry;
    const { value: _, valueBase64: __, ...rest } = entry;
    return { ...rest, length: valueBytes(entry).length };
  }

  async #deliver(entry: WireEntry, pending: number): Promise<void> {
    const live = this.#position.ready;
    if (live && this.#options.ignoreDeletes && entry.operation) return;
    if (this.#position.accept(entry)) await this.#sink.entry(entry, live ? 0 : pending, live);
  }

  #ready(revision: number): void {
    const first = !this.#position.ready;
    this.#position.start(revision);
    if (first) this.#sink.ready();
    this.#sink.settled?.();
  }

  #reached(revision: number): void {
    this.#position.reached(revision);
    this.#sink.settled?.();
  }

  #alive(): void {
    this.#heard = true;
    this.#silences = 0;
    this.#failures = 0;
  }

  async #ask<T>(path: string, body: object, waitMs?: number): Promise<T> {
    const { mode, signal } = this.#options;
    const call = { repeat: "always", mode, waitMs, options: { signal } } as const;
    const answer = await this.#transport.call<T>(path, { ...body, waitMs }, call);
    this.#alive();
    return answer;
  }
}

function failureOf(error: unknown): unknown {
  return error instanceof Failure ? error.error : error;
}

function isPassing(code: string, status: number): boolean {
  return code === "network" || code === "timeout" || status >= 500 || status === 429;
}
