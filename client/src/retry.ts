// What a failure says about the request: whether it may have been carried out, and whether trying again may help.
import { KvsError } from "./errors.js";

/** @internal */
export class Failure {
  constructor(
    readonly error: KvsError,
    /** Whether the server may have carried the request out. */
    readonly maybeDone: boolean,
    /** Whether the same request may fare better soon. */
    readonly passing: boolean,
    /** The pause that the server asked for, in ms. */
    readonly waitMs = 0,
  ) {}
}

// No connection: by the names that Node, Bun and Deno give it. Browsers do not tell.
const UNSENT =
  /ECONNREFUSED|ConnectionRefused|connection refused|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|CONNECT_TIMEOUT|dns error/i;

/** A fetch that failed without an answer, or half-way through one. @internal */
export function networkFailure(error: unknown): Failure {
  const words: string[] = [];
  for (let e = error; e instanceof Error && words.length < 10; e = e.cause) {
    words.push(e.message, String((e as { code?: unknown }).code ?? ""));
  }
  const message = `no answer from the server: ${words.filter(Boolean).join(", ")}`;
  return new Failure(new KvsError("network", message, { cause: error }), !UNSENT.test(message), true);
}

interface ErrorBody {
  error?: { code?: string; message?: string; field?: string; revision?: number | null; version?: number | null };
}

/** An answer with another status than 200. @internal */
export function answerFailure(status: number, text: string, retryAfter: string | null): Failure {
  const waitMs = Math.min(5000, Number(retryAfter ?? 0) * 1000 || 0);
  let body: ErrorBody | null = null;
  try {
    body = JSON.parse(text) as ErrorBody | null;
  } catch {
    // not the server's own answer: the web server's, or a proxy's
  }
  const told = body?.error;
  if (!told?.code) {
    const error = new KvsError("bad_response", `the web server answered with status ${status}`, { status });
    const passing = status >= 500 || status === 429 || status === 408;
    return new Failure(error, status >= 500 || status === 408, passing, waitMs);
  }
  const error = new KvsError(told.code, told.message ?? told.code, { ...told, status });
  return new Failure(error, status === 500, status === 500 || status === 503, waitMs);
}

/** A 200 whose body is not what it should be: cut short, or not from the server. @internal */
export function bodyFailure(cause: unknown): Failure {
  return new Failure(new KvsError("bad_response", "the answer is not JSON", { status: 200, cause }), true, true);
}
