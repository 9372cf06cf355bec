import { decodeEntry, encodeKey, type Entry, type Key, type WireEntry } from "./keys.js";
import type { ReadOptions } from "./options.js";
import type { Transport } from "./transport.js";

/** Which keys: strictly below `prefix`, from `start` (inclusive) to `end` (exclusive); all together. */
export interface ListSelector {
  prefix?: Key | undefined;
  start?: Key | undefined;
  end?: Key | undefined;
}

/** How to list. */
export interface ListOptions extends ReadOptions {
  /** A page: 100, at most 1000; `for await`: all. */
  limit?: number | undefined;
  /** Where the page before ended. */
  cursor?: string | null | undefined;
  /** From the last key to the first. */
  reverse?: boolean | undefined;
}

/** Some entries, and where the next page starts (null: nowhere). */
export interface ListPage<T> {
  entries: Entry<T>[];
  cursor: string | null;
}

const PAGE = 500;

/** A listing: `await` gives one page, `for await` every entry. */
export type List<T> = Promise<ListPage<T>> & AsyncIterable<Entry<T>>;

/** @internal */
export class Listing<T> implements Promise<ListPage<T>>, AsyncIterable<Entry<T>> {
  readonly #transport: Transport;
  readonly #selector: ListSelector;
  readonly #options: ListOptions;
  #first: Promise<ListPage<T>> | undefined;

  constructor(transport: Transport, selector: ListSelector, options: ListOptions) {
    this.#transport = transport;
    this.#selector = selector;
    this.#options = options;
  }

  get [Symbol.toStringTag](): string {
    return "Listing";
  }

  then<A = ListPage<T>, B = never>(
    fulfilled?: ((page: ListPage<T>) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#first ??= this.#page(this.#options.limit, this.#options.cursor);
    return this.#first.then(fulfilled, rejected);
  }

  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<ListPage<T> | B> {
    return this.then(undefined, rejected);
  }

  finally(settled?: (() => void) | null): Promise<ListPage<T>> {
    return this.then().finally(settled);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Entry<T>, void, void> {
    let left = this.#options.limit ?? Infinity;
    let cursor = this.#options.cursor;
    while (left > 0) {
      const page = await this.#page(Math.min(left, PAGE), cursor);
      yield* page.entries;
      left -= page.entries.length;
      cursor = page.cursor;
      if (cursor === null) return;
    }
  }

  async #page(limit?: number, cursor?: string | null): Promise<ListPage<T>> {
    const { prefix, start, end } = this.#selector;
    const body = {
      bucket: this.#transport.bucket,
      ...(prefix && { prefix: encodeKey(prefix) }),
      ...(start && { start: encodeKey(start) }),
      ...(end && { end: encodeKey(end) }),
      limit,
      cursor,
      reverse: this.#options.reverse,
    };
    const call = { repeat: "always", options: this.#options } as const;
    const page = await this.#transport.call<{ entries: WireEntry[]; cursor: string | null }>("/kv/list", body, call);
    return { entries: page.entries.map((entry) => decodeEntry<T>(entry)), cursor: page.cursor };
  }
}
