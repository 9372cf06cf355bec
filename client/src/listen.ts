// Messages of a topic as they become ready: a stream, or long polls where streams do not come through.
import type { KvsError } from "./errors.js";
import type { Cancelable } from "./options.js";
import type { Message, QueueClient } from "./queue.js";
import { Failure } from "./retry.js";
import { backoff, pause, scope } from "./signal.js";
import { Silence, stream } from "./stream.js";
import { report } from "./watch.js";

/** How to listen. */
export interface ListenOptions {
  /** Messages handed out and not yet settled (16). */
  limit?: number | undefined;
  /** How long one is this listener's alone (30000). */
  leaseMs?: number | undefined;
  /** Ends the listener. */
  signal?: AbortSignal | undefined;
  /** For what the callback throws, and what ends the listener. */
  onError?: ((error: unknown) => void) | undefined;
}

type Line<T> = { type: "message"; message: Message<T> } | { type: "heartbeat" | "end" | "ready" };

const WAIT_MS = 20_000;
const SILENCES = 2; // streams without a line before long polls take over

/** @internal */
export function listen<T>(
  client: QueueClient,
  topic: string,
  callback: (message: Message<T>) => unknown,
  options: ListenOptions,
): Cancelable {
  const span = scope([options.signal]);
  const forget = client.transport.onClose(span.abort);
  const { signal } = span;
  const { transport } = client;
  const limit = options.limit ?? 16;

  // What the callback cannot handle goes back to the queue.
  const hand = async (message: Message<T>): Promise<void> => {
    try {
      await callback(message);
    } catch (error) {
      await client.nack(message.id, { lease: message.lease }).catch(() => undefined);
      report(error, options.onError);
    }
  };

  const follow = async (): Promise<void> => {
    const body = { topic, limit, leaseMs: options.leaseMs };
    for await (const line of stream<Line<T>>(transport, "/queue/listen", body, transport.mode, signal)) {
      failures = silences = 0;
      if (line.type === "end") break;
      if (line.type !== "message") continue;
      client.remember(line.message.id, line.message.lease);
      void hand(line.message);
    }
    await pause(backoff(0), signal);
  };

  const poll = async (): Promise<void> => {
    const wait = { leaseMs: options.leaseMs, waitMs: WAIT_MS, signal };
    const messages = await client.dequeue<T>(topic, limit, wait);
    failures = 0;
    await Promise.all(messages.map(hand));
  };

  let failures = 0;
  let silences = 0;
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await (transport.streams ? follow() : poll());
      } catch (error) {
        if (signal.aborted) return;
        const told = (error instanceof Failure ? error.error : error) as KvsError;
        if (error instanceof Silence) {
          if (error.heldBack || ++silences >= SILENCES) transport.streamsFail();
        } else if (error instanceof Failure ? !error.passing : told.status > 0 && told.status < 500) throw told;
        await pause(backoff(failures++), signal).catch(() => undefined);
      }
    }
  };
  run()
    .finally(() => {
      span.done();
      forget();
    })
    .catch((error: unknown) => report(error, options.onError));
  return { cancel: span.abort };
}
