// Streams of JSON objects, one a line, with an eye on whether they come through.
import { KvsError } from "./errors.js";
import { parse, type ReadMode } from "./json.js";
import { bodyFailure, Failure, networkFailure } from "./retry.js";
import type { Transport } from "./transport.js";

const FIRST_MS = 4000; // the server writes at once; what takes longer is held back by something in between
const SIGNS = 2.5; // heartbeats that may be missed

/** Nothing came through: the stream is held back for too long, or was cut before its first line. @internal */
export class Silence extends Failure {
  constructor(readonly heldBack: boolean) {
    super(new KvsError("network", "the stream does not come through"), false, true);
  }
}

/**
 * The objects of a stream, until it ends. Time counts only while it is the server's turn. Returns when the signal is aborted;
 * fails with a Failure where the stream is refused, cut off or silent.
 * @internal
 */
export async function* stream<T>(
  transport: Transport,
  path: string,
  body: object,
  mode: ReadMode,
  signal: AbortSignal,
): AsyncGenerator<T, void, void> {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  let timer = setTimeout(stop, FIRST_MS);
  signal.addEventListener("abort", stop, { once: true });
  let heard = false;
  try {
    const response = await transport.stream(path, { ...body, heartbeat: transport.heartbeatMs }, controller.signal);
    for await (const line of lines(response)) {
      clearTimeout(timer);
      heard = true;
      yield decode<T>(line, mode);
      timer = setTimeout(stop, transport.heartbeatMs * SIGNS);
    }
    if (!heard && !signal.aborted) throw new Silence(false);
  } catch (error) {
    if (signal.aborted) return;
    throw controller.signal.aborted && !heard ? new Silence(true) : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    controller.abort();
  }
}

function decode<T>(line: string, mode: ReadMode): T {
  try {
    return parse(line, mode) as T;
  } catch (error) {
    throw bodyFailure(error);
  }
}

// The lines of an answer as they arrive; a last one without its end was cut, and is dropped.
async function* lines(response: Response): AsyncGenerator<string, void, void> {
  const reader = response.body?.getReader();
  if (!reader) return; // a runtime without streams
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw networkFailure(error);
      });
      if (done) return;
      const parts = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) if (line !== "") yield line;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}
