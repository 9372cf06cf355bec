import type { Message, QueueClient } from "./queue.js";
import { isKvsError, KvsError } from "./errors.js";
import { backoff, pause, type Scope, scope } from "./signal.js";

/** How to work a queue. */
export interface WorkerOptions {
  /** Messages handled at a time (1). */
  concurrency?: number | undefined;
  /** Lease of each, extended as long as needed (30000). */
  leaseMs?: number | undefined;
  /** How long a request waits, and so stopping may take (3000). */
  waitMs?: number | undefined;
  /** ms before a failed message comes again (its backoff). */
  retryDelay?: number | ((message: Message, error: unknown) => number | undefined) | undefined;
  /** As stop(). */
  signal?: AbortSignal | undefined;
  /** For what handlers throw, and failed requests. */
  onError?: ((error: unknown, message?: Message) => void) | undefined;
}

/** What a handler is given beside its message. */
export interface WorkerContext {
  /** Aborted when the lease is lost. */
  signal: AbortSignal;
}

/** Handles a message: returning acknowledges it, throwing gives it back. */
export type WorkerHandler<T> = (message: Message<T>, context: WorkerContext) => unknown;

const WAIT_MS = 3000;
const LEASE_MS = 30_000;

/** Has the messages of a topic handled. */
export class Worker<T = unknown> {
  /** Resolves at the end; rejects if refused. */
  readonly closed: Promise<void>;
  readonly #client: QueueClient;
  readonly #topic: string;
  readonly #handler: WorkerHandler<T>;
  readonly #options: WorkerOptions;
  readonly #span: Scope;
  readonly #busy = new Set<Promise<void>>();

  /** @internal */
  constructor(client: QueueClient, topic: string, handler: WorkerHandler<T>, options: WorkerOptions) {
    this.#client = client;
    this.#topic = topic;
    this.#handler = handler;
    this.#options = options;
    this.#span = scope([options.signal]);
    const forget = client.transport.onClose(this.#span.abort);
    this.closed = this.#run().finally(() => {
      this.#span.done();
      forget();
    });
    this.closed.catch(() => undefined);
  }

  /** Finishes what is at hand, and no more. */
  stop(): Promise<void> {
    this.#span.abort();
    return this.closed;
  }

  /** Messages being handled. */
  get active(): number {
    return this.#busy.size;
  }

  async #run(): Promise<void> {
    const limit = this.#options.concurrency ?? 1;
    const { signal } = this.#span;
    try {
      for (let failures = 0; !signal.aborted; ) {
        if (this.#busy.size >= limit) {
          await Promise.race(this.#busy);
          continue;
        }
        try {
          for (const message of await this.#take(limit - this.#busy.size)) this.#start(message);
          failures = 0;
        } catch (error) {
          this.#options.onError?.(error);
          if (error instanceof KvsError && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
          await pause(backoff(failures++), signal).catch(() => undefined);
        }
      }
    } finally {
      await Promise.all(this.#busy);
    }
  }

  // A request that waits is not broken off: the messages that it may just have been handed would count as delivered.
  #take(limit: number): Promise<Message<T>[]> {
    const { leaseMs, waitMs = WAIT_MS } = this.#options;
    return this.#client.dequeue<T>(this.#topic, Math.min(limit, 1000), { leaseMs: leaseMs ?? LEASE_MS, waitMs });
  }

  #start(message: Message<T>): void {
    const work: Promise<void> = this.#handle(message)
      .catch((error: unknown) => this.#options.onError?.(error, message))
      .finally(() => this.#busy.delete(work));
    this.#busy.add(work);
  }

  async #handle(message: Message<T>): Promise<void> {
    const lost = new AbortController();
    const renewal = this.#renew(message, lost);
    try {
      await this.#handler(message, { signal: lost.signal });
    } catch (error) {
      this.#options.onError?.(error, message);
      if (!lost.signal.aborted) await this.#client.nack(message.id, { lease: message.lease, delay: this.#delay(message, error) });
      return;
    } finally {
      renewal.stop();
    }
    if (!lost.signal.aborted) await this.#settle(message);
  }

  // The lease proves what is acknowledged, so that this may be repeated until it is answered.
  async #settle({ id, lease }: Message<T>): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        await this.#client.acknowledge(id, { lease });
        return;
      } catch (error) {
        if (isKvsError(error, "outcome_unknown")) return; // an attempt before settled it, or its lease is over
        if (!(error instanceof KvsError) || (error.status > 0 && error.status < 500) || failures > 20) throw error;
        await pause(backoff(failures));
      }
    }
  }

  #delay(message: Message, error: unknown): number | undefined {
    const { retryDelay } = this.#options;
    return typeof retryDelay === "function" ? retryDelay(message, error) : retryDelay;
  }

  #renew({ id, lease }: Message<T>, lost: AbortController): { stop(): void } {
    const leaseMs = this.#options.leaseMs ?? LEASE_MS;
    const every = Math.max(10, leaseMs / 3);
    let until = Date.now() + leaseMs;
    const timer = setInterval(() => {
      const asked = Date.now();
      this.#client.extend(id, { lease, leaseMs, timeoutMs: every }).then(
        ({ ok }) => {
          if (ok) until = asked + leaseMs;
          else lost.abort(new KvsError("conflict", `the lease of message ${id} was lost`));
        },
        () => {
          if (Date.now() >= until) lost.abort(new KvsError("network", `the lease of message ${id} could not be extended`));
        },
      );
    }, every);
    return { stop: () => clearInterval(timer) };
  }
}
