// Names of buckets and their keys: dotted strings. "a.b.c" is the key ["a","b","c"], so that the server's filters work.
import type { WireKey } from "./keys.js";

/** @internal */
export function checkBucket(name: string): void {
  if (!/^[-\w]+$/.test(name)) throw new Error(`invalid bucket name: ${name}`);
}

/** @internal */
export function checkKey(key: string): void {
  if (!/^[-/=\w]+(\.[-/=\w]+)*$/.test(key)) throw new Error(`invalid key: ${key}`);
}

/** @internal */
export function checkFilter(filter: string): void {
  if (!/^(?:>|(?:[-/=\w]+|\*)(?:\.(?:[-/=\w]+|\*))*(?:\.>)?)$/.test(filter)) throw new Error(`invalid key: ${filter}`);
}

/** @internal */
export function isFilter(key: string): boolean {
  return key.split(".").some((part) => part === "*" || part === ">");
}

/** The dotted form of a key, or null where others wrote one that has none. @internal */
export function dotted(key: WireKey): string | null {
  if (!key.every((part) => typeof part === "string" && /^[-/=\w]+$/.test(part))) return null;
  return key.join(".");
}
