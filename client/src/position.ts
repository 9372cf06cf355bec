// Where a reader of changes stands: which entries it has had, and from where it goes on after a cut.
import { keyName, type WireEntry } from "./keys.js";

/** What of the past a watch starts with. @internal */
export type Include = "latest" | "history" | "updates";

/** @internal */
export class Position {
  readonly #include: Include;
  readonly #since: number | undefined;
  /** Whether the initial entries are all there. */
  ready = false;
  #last = 0; // the highest revision of which an entry came
  #complete: number; // up to here all entries came
  #seen = new Set<string>(); // the keys that came of revision `last`

  constructor(include: Include, since: number | undefined) {
    this.#include = include;
    this.#since = since;
    this.#complete = since ?? 0;
  }

  /** Whether an entry is new, and not one that a stream before this one already brought. */
  accept(entry: WireEntry): boolean {
    const { revision } = entry;
    const key = keyName(entry.key);
    if (revision < this.#last || revision <= this.#complete || (revision === this.#last && this.#seen.has(key))) return false;
    if (revision > this.#last) {
      this.#last = revision;
      this.#seen.clear();
    }
    this.#seen.add(key);
    return true;
  }

  /** All initial entries came; they are those up to this revision. */
  start(revision: number): void {
    this.ready = true;
    this.reached(revision);
  }

  /** All entries up to this revision came. */
  reached(revision: number): void {
    if (this.ready && revision > this.#complete) this.#complete = revision;
  }

  /** From where to go on: a revision is whole only once a later one, or the server's word, has come. */
  get resume(): number {
    return Math.max(this.#complete, this.#last - 1);
  }

  /** Where a resume is refused (410) although nothing can be missing: only markers that came were dropped. */
  skipTo(revision: number | null | undefined): boolean {
    if (!this.ready || typeof revision !== "number" || revision > this.#last || revision <= this.resume) return false;
    this.#complete = this.#last;
    return true;
  }

  /** How to ask for the rest. Initial entries come in the order of revisions: before they are all there, ask anew. */
  request(): { include: Include } | { since: number } {
    if (this.ready) return { since: this.resume };
    return this.#since === undefined ? { include: this.#include } : { since: Math.max(this.#since, this.resume) };
  }
}
