// JSON that loses nothing: bigints go out as integers of any length; integers beyond 2^53 come back as bigints, or values
// as their exact text, where that is asked for. Everything else takes the built-in JSON's fast way.

/** A JSON value as its exact text, as read with `raw`; may be written too. */
export class JsonText {
  /** As the server holds it. */
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The value, by `JSON.parse`. */
  parse<T = unknown>(): T {
    return JSON.parse(this.text) as T;
  }

  toString(): string {
    return this.text;
  }

  /** Makes JSON.stringify fail as it does for a bigint, so that {@link stringify} takes its exact way. @internal */
  toJSON(): never {
    throw new TypeError("JsonText is for this client");
  }
}

/** How numbers and values of an answer are read. @internal */
export type ReadMode = "plain" | "bigint" | "raw";

/** JSON.stringify, with bigints as integers and JsonText as it stands. @internal */
export function stringify(body: unknown): string {
  try {
    return JSON.stringify(body);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  const exact: string[] = [];
  const mark = newMark();
  const text = JSON.stringify(shield(body, exact, mark, []));
  return text.replace(new RegExp(`"${mark}(\\d+)"`, "g"), (_, index: string) => exact[Number(index)] ?? "null");
}

// A copy of value in which what JSON.stringify cannot write is a marked string.
function shield(value: unknown, exact: string[], mark: string, above: object[]): unknown {
  if (typeof value === "bigint") return mark + (exact.push(value.toString()) - 1);
  if (value instanceof JsonText) {
    JSON.parse(value.text); // what is no JSON must not reach into the rest of the body
    return mark + (exact.push(value.text) - 1);
  }
  if (typeof value !== "object" || value === null) return value;
  if (above.includes(value)) throw new TypeError("cannot write a cyclic value as JSON");
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return shield(toJSON.call(value), exact, mark, above);
  const inside = [...above, value];
  if (Array.isArray(value)) return value.map((item) => shield(item, exact, mark, inside));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shield(item, exact, mark, inside)]));
}

/** Parses an answer. @internal */
export function parse(text: string, mode: ReadMode): unknown {
  if (mode === "plain") return JSON.parse(text);
  const kept: (bigint | JsonText)[] = [];
  const mark = newMark();
  const keep = (value: bigint | JsonText): string => `"${mark}${kept.push(value) - 1}"`;
  const marked = mode === "raw" ? shieldValues(text, keep) : shieldIntegers(text, keep);
  if (kept.length === 0) return JSON.parse(text);
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith(mark) ? kept[Number(value.slice(mark.length))] : value,
  );
}

// Strings (to be passed over as wholes), brackets, numbers and words: all of JSON but its spaces, commas and colons.
const TOKEN = /"(?:[^"\\]+|\\.)*"|[[{]|[\]}]|-?\d[\d.eE+-]*|[a-z]+/g;

function shieldIntegers(text: string, keep: (value: bigint) => string): string {
  return text.replace(TOKEN, (token) =>
    token.length > 15 && /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token)) ? keep(BigInt(token)) : token,
  );
}

// Answers hold values under two names, and values are not looked into.
function shieldValues(text: string, keep: (value: JsonText) => string): string {
  let marked = "";
  let done = 0; // text before it is in marked
  let from = -1; // where a value starts, if one does
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const end = index + token.length;
    if (from < 0) {
      const colon = token === '"value"' || token === '"payload"' ? /^\s*:\s*/.exec(text.slice(end, end + 20)) : null;
      if (colon) from = end + colon[0].length;
      continue;
    }
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    if (depth > 0) continue;
    marked += text.slice(done, from) + keep(new JsonText(text.slice(from, end)));
    done = end;
    from = -1;
  }
  return marked + text.slice(done);
}

// What no text of others can hold by chance.
function newMark(): string {
  return `kvs-${Math.random().toString(36).slice(2)}-${Date.now()}-`;
}
