// A strict RFC 8259 reader that keeps the text of every value, so that answers can be compared byte for byte instead of
// through JSON.parse, which rounds numbers, drops repeated names and forgets how strings were written.

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\n\r]*/y;
const LITERAL = /true|false|null/y;

class Reader {
  constructor(text, unique) {
    this.text = text;
    this.at = 0;
    this.unique = unique;
  }

  fail(what) {
    throw new SyntaxError(`${what} at ${this.at}: ${JSON.stringify(this.text.slice(this.at, this.at + 40))}`);
  }

  match(regexp) {
    regexp.lastIndex = this.at;
    const found = regexp.exec(this.text);
    if (found === null) return null;
    this.at += found[0].length;
    return found[0];
  }

  space() {
    this.match(SPACE);
  }

  take(char) {
    this.space();
    if (this.text[this.at] !== char) return false;
    this.at += 1;
    return true;
  }

  // A node is {raw, items?, members?}: raw is the value's text as it lies.
  value() {
    this.space();
    const start = this.at;
    const node = {};
    if (this.take('{')) node.members = this.members();
    else if (this.take('[')) node.items = this.items();
    else if (this.match(STRING) === null && this.match(NUMBER) === null && this.match(LITERAL) === null) {
      this.fail('no JSON value');
    }
    node.raw = this.text.slice(start, this.at);
    return node;
  }

  items() {
    const items = [];
    if (this.take(']')) return items;
    do items.push(this.value());
    while (this.take(','));
    if (!this.take(']')) this.fail('no end of the array');
    return items;
  }

  members() {
    const members = new Map();
    if (this.take('}')) return members;
    do {
      this.space();
      const name = this.match(STRING);
      if (name === null) this.fail('no name');
      if (!this.take(':')) this.fail('no colon');
      const key = JSON.parse(name);
      // Repeated names are legal JSON (a stored value may hold them), the server's own objects are checked by the caller.
      if (members.has(key) && this.unique) this.fail(`the name ${name} twice`);
      members.set(key, this.value());
    } while (this.take(','));
    if (!this.take('}')) this.fail('no end of the object');
    return members;
  }
}

// Reads text as strict JSON and returns its root node; throws SyntaxError otherwise.  With unique, names repeated in one
// object are an error too.
export function readJson(text, unique = false) {
  const reader = new Reader(text, unique);
  const node = reader.value();
  reader.space();
  if (reader.at !== text.length) reader.fail('text behind the value');
  return node;
}

// The text of the value at path (names and indexes) in JSON text, or undefined where there is none.
export function rawAt(text, ...path) {
  let node = readJson(text);
  for (const step of path) {
    node = typeof step === 'number' ? node.items?.[step] : node.members?.get(step);
    if (node === undefined) return undefined;
  }
  return node.raw;
}
