import { isKvsError, KvsError } from "./errors.js";
import type { CallOptions } from "./options.js";
import { pause } from "./signal.js";
import type { Transport } from "./transport.js";

/** A lock's properties. */
export interface LockOptions {
  /** When a silent holder loses it, ms (10000). */
  ttl?: number | undefined;
  /** For others to read. */
  owner?: string | undefined;
}

/** How to acquire. */
export interface AcquireOptions {
  /** How long to wait (for ever). */
  timeoutMs?: number | undefined;
  /** Gives up waiting. */
  signal?: AbortSignal | undefined;
}

type Answer =
  | { ok: true; token: string; fence: number; expiresAt: number }
  | { ok: false; owner?: string | null; expiresAt?: number };

const WAIT_MS = 20_000; // the longest wait that one request asks for

/** A lock that several processes agree on. */
export class Lock {
  readonly name: string;
  readonly #transport: Transport;
  readonly #ttl: number;
  readonly #owner: string | undefined;

  /** @internal */
  constructor(transport: Transport, name: string, options: LockOptions) {
    this.name = name;
    this.#transport = transport;
    this.#ttl = options.ttl ?? 10_000;
    this.#owner = options.owner;
  }

  /** Waits for the lock; else fails with `lock_timeout`. */
  async acquire({ timeoutMs = Infinity, signal }: AcquireOptions = {}): Promise<HeldLock> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const waitMs = Math.max(0, Math.min(deadline - Date.now(), WAIT_MS));
      const asked = Date.now();
      const answer = await this.#ask(waitMs, signal);
      if (answer.ok) return new HeldLock(this.#transport, this.name, this.#ttl, answer, Date.now());
      if (Date.now() >= deadline) {
        const by = answer.owner ? ` by ${answer.owner}` : "";
        throw new KvsError("lock_timeout", `lock ${this.name} is still held${by} after ${timeoutMs} ms`);
      }
      // the server waits; where it does not, this must not become a busy loop
      if (Date.now() - asked < waitMs / 2) await pause(Math.min(50, deadline - Date.now()), signal);
    }
  }

  /** The lock, or null if it is held. */
  async tryAcquire(options: CallOptions = {}): Promise<HeldLock | null> {
    const answer = await this.#ask(0, options.signal);
    return answer.ok ? new HeldLock(this.#transport, this.name, this.#ttl, answer, Date.now()) : null;
  }

  #ask(waitMs: number, signal: AbortSignal | undefined): Promise<Answer> {
    const body = { name: this.name, ttl: this.#ttl, owner: this.#owner, waitMs };
    return this.#transport.call("/lock/acquire", body, { repeat: "always", waitMs, options: { signal } });
  }
}

/** Renewed until it is released. */
export class HeldLock {
  readonly name: string;
  /** Grows with every holder, so that storage can refuse older ones. */
  readonly fence: number;
  /** Proves that the lock is held. */
  readonly token: string;
  readonly #transport: Transport;
  readonly #ttl: number;
  readonly #lost = new AbortController();
  #until: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #released: Promise<boolean> | undefined;

  /** @internal */
  constructor(
    transport: Transport,
    name: string,
    ttl: number,
    answer: { token: string; fence: number },
    now: number,
  ) {
    this.#transport = transport;
    this.#ttl = ttl;
    this.name = name;
    this.fence = answer.fence;
    this.token = answer.token;
    this.#until = now + ttl;
    this.#plan();
  }

  /** Aborted if the lock is lost. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** As far as this process can know. */
  get held(): boolean {
    return this.#released === undefined && !this.signal.aborted && Date.now() < this.#until;
  }

  /** False where it was lost. */
  release(): Promise<boolean> {
    clearTimeout(this.#timer);
    this.#released ??= this.#transport
      .call<{ ok: boolean }>("/lock/release", { name: this.name, token: this.token }, { repeat: "always" })
      .then(
        ({ ok }) => ok,
        (error: unknown) => {
          this.#released = undefined; // so that it can be tried again; without renewal, it ends by itself
          throw error;
        },
      );
    return this.#released;
  }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  #plan(): void {
    const left = this.#until - Date.now();
    this.#timer = setTimeout(() => void this.#renew(), Math.max(0, Math.min(this.#ttl / 3, left)));
  }

  async #renew(): Promise<void> {
    const asked = Date.now();
    if (asked >= this.#until) return this.#lose();
    try {
      const body = { name: this.name, token: this.token, ttl: this.#ttl };
      const options = { timeoutMs: Math.max(1, this.#until - asked) };
      const { ok } = await this.#transport.call<{ ok: boolean }>("/lock/renew", body, { repeat: "always", options });
      if (!ok) return this.#lose();
      this.#until = asked + this.#ttl;
    } catch (error) {
      if (isKvsError(error) && error.status >= 400 && error.status < 500) return this.#lose(error);
    }
    if (this.#released === undefined) this.#plan();
  }

  #lose(cause?: unknown): void {
    if (this.#released !== undefined) return;
    this.#lost.abort(new KvsError("conflict", `lock ${this.name} was lost`, { cause }));
  }
}
