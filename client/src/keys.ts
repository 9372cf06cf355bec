// Keys and values between their JavaScript and their JSON form.
import { fromBase64, toBase64 } from "./base64.js";
import { JsonText } from "./json.js";

/** One part of a key. Order: bytes < strings < bigints < numbers < false < true. */
export type KeyPart = string | number | boolean | bigint | Uint8Array;

/** A key: 1 to 64 parts. */
export type Key = readonly KeyPart[];

/** @internal */
export type WirePart = string | number | boolean | { $bytes: string } | { $bigint: string };

/** @internal */
export type WireKey = WirePart[];

/** Entries as answers hold them. @internal */
export interface WireEntry {
  key: WireKey;
  value?: unknown;
  valueBase64?: string;
  length?: number;
  version: number;
  revision: number;
  created: number;
  expiresAt?: number;
  operation?: "DEL" | "PURGE" | "EXPIRE";
}

/** What a key holds. */
export interface Entry<T = unknown> {
  key: KeyPart[];
  value: T;
  /** Counts sets since the key last did not exist. */
  version: number;
  /** The bucket's commit number; only ever grows. */
  revision: number;
  /** Time of that revision, ms since the epoch. */
  created: number;
  /** ms since the epoch. */
  expiresAt?: number;
}

/** @internal */
export function encodeKey(key: Key): WireKey {
  if (!Array.isArray(key)) throw new TypeError("a key is an array of parts, such as [\"users\", 42]");
  return key.map(encodePart);
}

function encodePart(part: KeyPart): WirePart {
  switch (typeof part) {
    case "string":
    case "boolean":
      return part;
    case "number":
      if (Number.isFinite(part)) return part;
      break;
    case "bigint":
      return { $bigint: part.toString() };
    default:
      if (part instanceof Uint8Array) return { $bytes: toBase64(part) };
  }
  throw new TypeError("a key part is a string, a finite number, a boolean, a bigint or a Uint8Array");
}

/** @internal */
export function decodeKey(key: WireKey): KeyPart[] {
  return key.map((part) => {
    if (typeof part === "bigint") return Number(part); // a number, read by the parser that keeps integers exact
    if (typeof part !== "object") return part;
    return "$bytes" in part ? fromBase64(part.$bytes) : BigInt(part.$bigint);
  });
}

/** One text for each key, whatever parser read it. @internal */
export function keyName(key: WireKey): string {
  return JSON.stringify(key.map((part) => (typeof part === "bigint" ? Number(part) : part)));
}

/** The field that carries a value: bytes travel as base64, all else as JSON. @internal */
export function encodeValue(value: unknown): { value: unknown } | { valueBase64: string } {
  if (value instanceof Uint8Array) return { valueBase64: toBase64(value) };
  return { value: json(value, "value") };
}

/** The value itself, if JSON can hold it. @internal */
export function json(value: unknown, what: string): unknown {
  const type = typeof value;
  if (type === "undefined" || type === "function" || type === "symbol" || ArrayBuffer.isView(value)) {
    throw new TypeError(`a ${what} must be JSON${what === "value" ? " or a Uint8Array" : ""}`);
  }
  return value;
}

/** @internal */
export function decodeValue(entry: WireEntry): unknown {
  return entry.valueBase64 === undefined ? entry.value : fromBase64(entry.valueBase64);
}

/** @internal */
export function decodeEntry<T>(entry: WireEntry): Entry<T> {
  const { key, valueBase64: _, ...rest } = entry;
  return { ...rest, key: decodeKey(key), value: decodeValue(entry) as T };
}

const encoder = new TextEncoder();

/** The bytes of a value: bytes as they are, JSON as its UTF-8 text. @internal */
export function valueBytes(entry: WireEntry): Uint8Array {
  if (entry.valueBase64 !== undefined) return fromBase64(entry.valueBase64);
  if (entry.operation || entry.value === undefined) return new Uint8Array(0);
  return encoder.encode(entry.value instanceof JsonText ? entry.value.text : JSON.stringify(entry.value));
}
