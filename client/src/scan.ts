// What takes more than one page to read.
import type { ReadMode } from "./json.js";
import type { WireEntry, WireKey } from "./keys.js";
import type { CallOptions } from "./options.js";
import type { Transport } from "./transport.js";

/** Which keys, as the server wants it. @internal */
export interface Selector {
  bucket: string | undefined;
  key?: WireKey;
  keys?: WireKey[];
  filter?: string | readonly string[] | undefined;
  prefix?: WireKey | undefined;
}

/** Keys that exist, in their order. @internal */
export async function* scanKeys(
  transport: Transport,
  selector: Selector,
  options?: CallOptions,
): AsyncGenerator<WireKey, void, void> {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: { keys: WireKey[]; cursor: string | null } = await transport.call(
      "/kv/keys",
      { ...selector, limit: 1000, cursor },
      { repeat: "always", options },
    );
    yield* page.keys;
    cursor = page.cursor;
  }
}

/** Retained entries in the order of revisions, markers included, page by page. @internal */
export async function* history(
  transport: Transport,
  selector: Selector,
  { mode, signal }: { mode: ReadMode; signal: AbortSignal },
): AsyncGenerator<WireEntry, void, void> {
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: { entries: WireEntry[]; cursor: string | null } = await transport.call(
      "/kv/history",
      { ...selector, limit: 1000, cursor },
      { repeat: "always", mode, options: { signal } },
    );
    yield* page.entries;
    cursor = page.cursor;
  }
}
