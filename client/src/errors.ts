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

/** Particulars of a {@link KvsError}. */
export interface KvsErrorDetails {
  status?: number | undefined;
  field?: string | undefined;
  revision?: number | null | undefined;
  version?: number | null | undefined;
  cause?: unknown;
}

/** Every failure of this package, but for wrong arguments (`TypeError`) and aborted calls (the signal's own reason). */
export class KvsError extends Error {
  override readonly name = "KvsError";
  /** The kind of failure. */
  readonly code: KvsErrorCode;
  /** The HTTP status, 0 where there was no answer. */
  readonly status: number;
  /** The field of the request that is to blame, as a path: `mutations[2].key`. */
  readonly field: string | undefined;
  /** `conflict`: the key's current revision, null where it is missing. `compacted`: the revision to start from. */
  readonly revision: number | null | undefined;
  /** `conflict`: the key's current version, null where it is missing. */
  readonly version: number | null | undefined;

  constructor(code: KvsErrorCode, message: string, details: KvsErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status ?? 0;
    this.field = details.field;
    this.revision = details.revision;
    this.version = details.version;
  }
}

/** Whether a value is a {@link KvsError}, of the given code if one is given. */
export function isKvsError(error: unknown, code?: KvsErrorCode): error is KvsError {
  return error instanceof KvsError && (code === undefined || error.code === code);
}
