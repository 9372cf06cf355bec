// Requests and answers. Knows the address, the token, time limits and what may be repeated; nothing of keys or queues.
import { KvsError } from "./errors.js";
import { parse, stringify, type ReadMode } from "./json.js";
import type { CallOptions, KvsClientOptions, ReadOptions } from "./options.js";
import { answerFailure, bodyFailure, Failure, networkFailure } from "./retry.js";
import { backoff, pause, scope } from "./signal.js";

/**
 * When a request may be sent again: `always` (a read, or a write that does the same twice as once), `checked` (a write that
 * fails if it has been done), `unsent` (any other write: only where the server provably did not carry it out).
 * @internal
 */
export type Repeat = "always" | "checked" | "unsent";

/** @internal */
export interface Call {
  repeat: Repeat;
  options?: (CallOptions & ReadOptions) | undefined;
  mode?: ReadMode;
  /** How long the request asks the server to wait. */
  waitMs?: number | undefined;
  method?: "GET";
}

const STREAM_AGAIN_MS = 300_000; // how long streaming is not tried again where it did not come through

/** @internal */
export class Transport {
  readonly base: string;
  readonly bucket: string | undefined;
  readonly mode: ReadMode;
  readonly heartbeatMs: number;
  readonly #timeoutMs: number;
  readonly retries: number;
  readonly #headers: Record<string, string>;
  readonly #send: typeof fetch;
  #blockedUntil = 0;
  readonly #open = new Set<() => void>();

  constructor(options: KvsClientOptions) {
    this.base = options.url.replace(/\/+$/, "");
    this.bucket = options.bucket;
    this.mode = options.bigint ? "bigint" : "plain";
    this.heartbeatMs = options.heartbeatMs ?? 15_000;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.retries = options.retries ?? 4;
    this.#headers = { "Content-Type": "application/json", ...options.headers };
    if (options.token !== undefined) this.#headers["Authorization"] = `Bearer ${options.token}`;
    const given = options.fetch;
    this.#send = given ?? ((input, init) => fetch(input, init));
    if (options.stream === false) this.#blockedUntil = Infinity;
  }

  /** Has something ended when the client is closed; gives what undoes that. (A signal warns of many listeners.) */
  onClose(end: () => void): () => void {
    this.#open.add(end);
    return () => this.#open.delete(end);
  }

  /** Ends what waits for changes; later watches work again. */
  close(): void {
    for (const end of [...this.#open]) end();
  }

  /** Whether answers arrive while they are being written, as far as is known. */
  get streams(): boolean {
    return Date.now() >= this.#blockedUntil;
  }

  streamsFail(): void {
    this.#blockedUntil = Math.max(this.#blockedUntil, Date.now() + STREAM_AGAIN_MS);
  }

  /** Sends a request until it is answered, or may not be sent again. */
  async call<T>(path: string, body: object | undefined, call: Call): Promise<T> {
    const text = body === undefined ? undefined : stringify(body);
    const limit = (call.options?.timeoutMs ?? this.#timeoutMs) + (call.waitMs ?? 0);
    call.options?.signal?.throwIfAborted();
    const span = scope([call.options?.signal], limit);
    try {
      return await this.#attempts<T>(path, text, call, span.signal);
    } catch (error) {
      if (call.options?.signal?.aborted) throw call.options.signal.reason;
      if (span.timedOut()) throw new KvsError("timeout", `${path}: no answer within ${limit} ms`, { cause: error });
      throw error;
    } finally {
      span.done();
    }
  }

  async #attempts<T>(path: string, text: string | undefined, call: Call, signal: AbortSignal): Promise<T> {
    let unsure = false; // an earlier attempt may have been carried out
    for (let n = 0; ; n++) {
      let failure: Failure;
      try {
        const answer = (await this.#once(path, text, call, signal)) as T;
        if (!unsure || (answer as { ok?: unknown } | null)?.ok !== false) return answer;
        throw unknownOutcome(path);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failure = error;
      }
      if (unsure && failure.error.code === "conflict") throw unknownOutcome(path, failure.error);
      const allowed = failure.passing && (call.repeat !== "unsent" || !failure.maybeDone);
      if (!allowed || n >= this.retries || signal.aborted) throw failure.error;
      unsure ||= failure.maybeDone && call.repeat === "checked";
      await pause(Math.max(backoff(n), failure.waitMs), signal);
    }
  }

  async #once(path: string, text: string | undefined, call: Call, signal: AbortSignal): Promise<unknown> {
    const response = await this.#fetch(path, text, signal, call.method);
    let answer: string;
    try {
      answer = await response.text();
    } catch (error) {
      throw networkFailure(error);
    }
    if (response.status !== 200) throw answerFailure(response.status, answer, response.headers.get("Retry-After"));
    const { bigint, raw } = call.options ?? {};
    try {
      return parse(answer, raw ? "raw" : bigint ? "bigint" : (call.mode ?? this.mode));
    } catch (error) {
      throw bodyFailure(error);
    }
  }

  async #fetch(path: string, text: string | undefined, signal: AbortSignal, method = "POST"): Promise<Response> {
    try {
      return await this.#send(this.base + path, { method, headers: this.#headers, signal, ...(text && { body: text }) });
    } catch (error) {
      throw networkFailure(error);
    }
  }

  /** Opens a stream; fails with the server's error where it refuses. */
  async stream(path: string, body: object, signal: AbortSignal): Promise<Response> {
    const response = await this.#fetch(path, stringify(body), signal);
    if (response.status === 200) return response;
    const text = await response.text().catch(() => "");
    throw answerFailure(response.status, text, response.headers.get("Retry-After"));
  }
}

function unknownOutcome(path: string, cause?: KvsError): KvsError {
  const message = `${path}: an answer was lost, and the repetition refused: the first may have counted`;
  return new KvsError("outcome_unknown", message, { ...cause, cause });
}
