/**
 * What went wrong, by name: the server's own codes and, where there was no answer of its own, `network` (no or half an
 * answer), `timeout`, `bad_response` (an answer that is not the server's), `outcome_unknown` (a write whose first answer
 * was lost and whose repetition failed its check: it may have been applied) and `lock_timeout`.
 */
export type KvsErrorCode =
  | "bad_json"
  | "bad_request"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "no_bucket"
  | "method_not_allowed"
  | "conflict"
  | "compacted"
  | "too_large"
  | "unsupported_media"
  | "not_a_number"
  | "internal"
  | "busy"
  | "stopping"
  | "full"
  | "network"
  | "timeout"
  | "bad_response"
  | "outcome_unknown"
  | "lock_timeout"
  | (string & {});

/** @internal */
export interface KvsErrorDetails {
  status?: number | undefined;
  field?: string | undefined;
  revision?: number | null | undefined;
  version?: number | null | undefined;
  cause?: unknown;
}

/** Any failure but wrong arguments and aborts. */
export class KvsError extends Error {
  override readonly name = "KvsError";
  /** The kind of failure. */
  readonly code: KvsErrorCode;
  /** HTTP status; 0: no answer. */
  readonly status: number;
  /** The field to blame: `mutations[2].key`. */
  readonly field: string | undefined;
  /** The current one (null: missing); if `compacted`, where to start. */
  readonly revision: number | null | undefined;
  /** The current one (null: missing). */
  readonly version: number | null | undefined;

  /** @internal */
  constructor(code: KvsErrorCode, message: string, details: KvsErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status ?? 0;
    this.field = details.field;
    this.revision = details.revision;
    this.version = details.version;
  }
}

/** Whether this is a KvsError (of that code). */
export function isKvsError(error: unknown, code?: KvsErrorCode): error is KvsError {
  return error instanceof KvsError && (code === undefined || error.code === code);
}
