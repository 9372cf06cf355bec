/** A stream of items that can be stopped, and counts. */
export interface QueuedIterator<T> extends AsyncIterable<T> {
  [Symbol.asyncIterator](): AsyncIterator<T, void, void>;
  /** The next item. */
  next(): Promise<IteratorResult<T, void>>;
  /** Ends the iteration at once. */
  stop(error?: Error): void;
  /** Resolves at the end, with the error that caused it. */
  readonly closed: Promise<void | Error>;
  /** Items taken. */
  getProcessed(): number;
  /** Items arrived. */
  getReceived(): number;
  /** Items that wait. */
  getPending(): number;
}

const ROOM = 1024; // items that wait for their consumer before the producer has to wait

interface Reader<T> {
  resolve(result: IteratorResult<T, void>): void;
  reject(error: Error): void;
}

/** @internal */
export class Queued<T> implements QueuedIterator<T>, AsyncIterableIterator<T> {
  readonly closed: Promise<void | Error>;
  #items: T[] = [];
  #head = 0; // items before it were taken
  #readers: Reader<T>[] = [];
  #received = 0;
  #processed = 0;
  #ended = false;
  #error: Error | undefined;
  #close!: (error?: Error) => void;
  #room: (() => void)[] = [];
  #marks: { at: number; step: () => void }[] = [];
  readonly #abort = new AbortController();

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#close = resolve as (error?: Error) => void;
    });
  }

  /** Aborted when the consumer, or an error, has ended the iteration. */
  get stopped(): AbortSignal {
    return this.#abort.signal;
  }

  /** Adds an item; resolves when there is room for more. */
  push(item: T): Promise<void> | void {
    if (this.#ended) return;
    this.#received++;
    const reader = this.#readers.shift();
    if (reader) {
      this.#count();
      reader.resolve({ done: false, value: item });
      return;
    }
    this.#items.push(item);
    if (this.getPending() >= ROOM) return new Promise((resolve) => this.#room.push(resolve));
  }

  /** Runs step once what was pushed so far is taken, or at once where nobody takes anything (yet). */
  whenTaken(step: () => void): void {
    if (this.getPending() === 0 || this.#processed === 0) setTimeout(step, 0);
    else this.#marks.push({ at: this.#received, step });
  }

  /** Ends the iteration after the items that wait. */
  finish(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    if (this.getPending() === 0) this.#end();
  }

  stop(error?: Error): void {
    this.#items = [];
    this.#head = 0;
    if (!this.#ended) {
      this.#ended = true;
      this.#error = error;
    }
    this.#end();
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.getPending() > 0) return Promise.resolve({ done: false, value: this.#take() });
    if (!this.#ended) return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
    const error = this.#error;
    this.#error = undefined; // told once
    return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
  }

  return(): Promise<IteratorResult<T, void>> {
    this.stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  getProcessed(): number {
    return this.#processed;
  }

  getReceived(): number {
    return this.#received;
  }

  getPending(): number {
    return this.#items.length - this.#head;
  }

  #take(): T {
    const item = this.#items[this.#head++] as T;
    if (this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    this.#count();
    if (this.getPending() < ROOM / 2) for (const resolve of this.#room.splice(0)) resolve();
    if (this.getPending() === 0 && this.#ended) this.#end();
    return item;
  }

  #count(): void {
    this.#processed++;
    while (this.#marks[0] && this.#marks[0].at <= this.#processed) setTimeout(this.#marks.shift()!.step, 0);
  }

  #end(): void {
    if (this.#abort.signal.aborted) return;
    this.#close(this.#error);
    this.#abort.abort();
    for (const resolve of this.#room.splice(0)) resolve();
    for (const { step } of this.#marks.splice(0)) step();
    for (const { resolve, reject } of this.#readers.splice(0)) {
      if (this.#error) reject(this.#error);
      else resolve({ done: true, value: undefined });
      this.#error = undefined;
    }
  }
}
