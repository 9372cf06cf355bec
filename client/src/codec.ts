import { fromBase64, toBase64 } from "./base64.js";

/** Turns values into what is stored, and back. */
export interface KvCodec<T, Stored = Uint8Array> {
  encode(value: T): Stored;
  decode(stored: Stored): T;
}

/** Codecs for the keys and the values of a bucket. */
export interface KvCodecs<T = unknown> {
  key?: KvCodec<string, string> | undefined;
  value?: KvCodec<T> | undefined;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Strings as UTF-8. */
export function StringCodec(): KvCodec<string> {
  return { encode: (text) => encoder.encode(text), decode: (bytes) => decoder.decode(bytes) };
}

/** Values as JSON. */
export function JSONCodec<T = unknown>(
  reviver?: (this: unknown, key: string, value: unknown) => unknown,
): KvCodec<T> {
  return {
    encode(value) {
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) throw new TypeError("the value is not JSON");
      return encoder.encode(text);
    },
    decode: (bytes) => JSON.parse(decoder.decode(bytes), reviver) as T,
  };
}

/** Keys of any characters: each dotted part as URL-safe base64. */
export function Base64KeyCodec(): KvCodec<string, string> {
  const each = (key: string, part: (text: string) => string): string =>
    key.split(".").map((text) => (text === "*" || text === ">" ? text : part(text))).join(".");
  return {
    encode: (key) =>
      each(key, (text) => toBase64(encoder.encode(text)).replaceAll("+", "-").replaceAll("/", "_")),
    decode: (key) =>
      each(key, (text) => decoder.decode(fromBase64(text.replaceAll("-", "+").replaceAll("_", "/")))),
  };
}

const same = <T>(): KvCodec<T, T> => ({ encode: (value) => value, decode: (stored) => stored });

type Noop = Required<KvCodecs<Uint8Array>>;
const noop = (): Noop => ({ key: same<string>(), value: same<Uint8Array>() });

/** Codecs that change nothing; called or not. */
export const NoopKvCodecs: Noop & (() => Noop) = /* @__PURE__ */ Object.assign(noop, noop());
