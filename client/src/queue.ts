import { json } from "./keys.js";
import type { CallOptions, ReadOptions } from "./options.js";
import { StoreClient } from "./store.js";
import type { Repeat } from "./transport.js";

/** How to enqueue. */
export interface EnqueueOptions extends CallOptions {
  /** "default" unless given. */
  topic?: string | undefined;
  /** ms until it may be handed out. */
  delay?: number | undefined;
  /** Deliveries before it is a dead letter (3). */
  maxAttempts?: number | undefined;
  /** ms before retry 1, 2, … */
  backoff?: readonly number[] | undefined;
  /** A second enqueue with it answers the first one's id, so that repeating is safe. */
  dedupeId?: string | undefined;
  /** Higher ones first (0). */
  priority?: number | undefined;
}

/** How to dequeue. */
export interface DequeueOptions extends ReadOptions {
  /** How long they are this client's alone (30000). */
  leaseMs?: number | undefined;
  /** How long to wait for one (0, at most 25000). */
  waitMs?: number | undefined;
}

/** A message, leased to this client. */
export interface Message<T = unknown> {
  id: number;
  topic: string;
  payload: T;
  /** ms since the epoch. */
  enqueuedAt: number;
  deliverAt: number;
  /** Earlier deliveries. */
  attempts: number;
  maxAttempts: number;
  /** New at every delivery. */
  lease: string;
}

/** Options of calls about a leased message. */
export interface LeaseOptions extends CallOptions {
  /** If not the one this client was handed. */
  lease?: string | undefined;
}

const LEASES = 100_000; // remembered leases; the oldest go first

/** The queue calls, beside those of {@link StoreClient}. */
export class QueueClient extends StoreClient {
  /** Enqueues a message. */
  async enqueue(
    payload: unknown,
    options: EnqueueOptions = {},
  ): Promise<{ ok: true; id: number; duplicate?: boolean }> {
    const repeat = options.dedupeId === undefined ? "unsent" : "always";
    return this.#queue("enqueue", repeat, options, message(payload, options));
  }

  /** Enqueues up to 1000 at once. */
  async enqueueMany(
    messages: readonly ({ payload: unknown } & EnqueueOptions)[],
    options?: CallOptions,
  ): Promise<number[]> {
    const repeat = messages.every(({ dedupeId }) => dedupeId !== undefined) ? "always" : "unsent";
    const body = { messages: messages.map(({ payload, ...rest }) => message(payload, rest)) };
    return (await this.#queue<{ ids: number[] }>("enqueue-many", repeat, options, body)).ids;
  }

  /** Takes up to `limit` messages that are ready. */
  async dequeue<T = unknown>(topic?: string, limit?: number, options: DequeueOptions = {}): Promise<Message<T>[]> {
    const { leaseMs, waitMs } = options;
    const body = { topic, limit, leaseMs, waitMs };
    const call = { repeat: "unsent", options, waitMs } as const;
    const { messages } = await this.transport.call<{ messages: Message<T>[] }>("/queue/dequeue", body, call);
    for (const { id, lease } of messages) this.remember(id, lease);
    return messages;
  }

  /** Settles a message; false if it is gone or another's. */
  async acknowledge(id: number, options: LeaseOptions = {}): Promise<boolean> {
    const { ok } = await this.#leased<{ ok: boolean }>("ack", "checked", id, options);
    this.leases.delete(id);
    return ok;
  }

  /** Settles up to 1000 at once. */
  async acknowledgeMany(ids: readonly number[], options?: CallOptions): Promise<boolean[]> {
    const acks = ids.map((id) => ({ id, lease: this.leases.get(id) }));
    const { ok } = await this.#queue<{ ok: boolean[] }>("ack-many", "unsent", options, { acks });
    for (const id of ids) this.leases.delete(id);
    return ok;
  }

  /** Gives a message back, for after `delay` (else its backoff). */
  async nack(id: number, options: LeaseOptions & { delay?: number | undefined } = {}): Promise<boolean> {
    const { ok } = await this.#leased<{ ok: boolean }>("nack", "checked", id, options, { delay: options.delay });
    this.leases.delete(id);
    return ok;
  }

  /** Keeps a message for `leaseMs` from now. */
  extend(
    id: number,
    options: LeaseOptions & { leaseMs?: number | undefined } = {},
  ): Promise<{ ok: boolean; leaseUntil?: number }> {
    return this.#leased("extend", "always", id, options, { leaseMs: options.leaseMs });
  }

  /** Notes the lease of a message that was handed to this client. @internal */
  remember(id: number, lease: string): void {
    this.leases.delete(id);
    this.leases.set(id, lease);
    const [oldest] = this.leases.size > LEASES ? this.leases.keys() : [];
    if (oldest !== undefined) this.leases.delete(oldest);
  }

  #queue<T>(name: string, repeat: Repeat, options: CallOptions | undefined, body: object): Promise<T> {
    return this.transport.call(`/queue/${name}`, body, { repeat, options });
  }

  // Without a lease, nothing keeps a repetition from meeting a later delivery.
  #leased<T>(name: string, repeat: Repeat, id: number, options: LeaseOptions, more?: object): Promise<T> {
    const lease = options.lease ?? this.leases.get(id);
    return this.#queue(name, lease === undefined ? "unsent" : repeat, options, { id, lease, ...more });
  }
}

function message(payload: unknown, options: EnqueueOptions): object {
  const { signal: _, timeoutMs: __, ...rest } = options;
  return { payload: json(payload, "payload"), ...rest };
}
