// Keys, values, base64, names and codecs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBase64, toBase64 } from "../build/base64.js";
import { Base64KeyCodec, JSONCodec, NoopKvCodecs, StringCodec } from "../build/codec.js";
import { decodeEntry, decodeKey, encodeKey, encodeValue, keyName, valueBytes } from "../build/keys.js";
import { checkBucket, checkFilter, checkKey, dotted } from "../build/names.js";

const bytes = (...list) => Uint8Array.from(list);

test("base64 goes both ways for every length and byte, also beyond one chunk", () => {
  for (const length of [0, 1, 2, 3, 4, 255, 256, 0x8000, 0x8001, 100_000]) {
    const some = Uint8Array.from({ length }, (_, at) => (at * 7) & 255);
    assert.equal(toBase64(some), Buffer.from(some).toString("base64"));
    assert.deepEqual(fromBase64(toBase64(some)), some);
  }
});

test("a view into a larger buffer is encoded as the view", () => {
  assert.equal(toBase64(bytes(1, 2, 3, 4).subarray(1, 3)), "AgM=");
});

test("keys of every part type go both ways", () => {
  const key = ["a", "", 1, -1.5, true, false, 2n ** 70n, -3n, bytes(0, 255)];
  const wire = encodeKey(key);
  assert.deepEqual(wire.slice(6), [{ $bigint: "1180591620717411303424" }, { $bigint: "-3" }, { $bytes: "AP8=" }]);
  assert.deepEqual(decodeKey(JSON.parse(JSON.stringify(wire))), key);
});

test("a number part stays a number where integers are read as bigints", () => {
  assert.deepEqual(decodeKey([100000000000000000000n]), [1e20]);
  assert.equal(keyName([100000000000000000000n]), keyName([1e20]));
});

test("what is no key is refused before it is sent", () => {
  for (const key of ["a", [NaN], [Infinity], [null], [undefined], [{}], [[1]], [new Date()]]) {
    assert.throws(() => encodeKey(key), TypeError, String(key));
  }
});

test("bytes are values; what JSON cannot hold is refused", () => {
  assert.deepEqual(encodeValue(bytes(1)), { valueBase64: "AQ==" });
  assert.deepEqual(encodeValue(null), { value: null });
  for (const value of [undefined, () => 1, Symbol("x"), new DataView(new ArrayBuffer(1)), new Uint16Array(1)]) {
    assert.throws(() => encodeValue(value), TypeError);
  }
});

test("an entry's bytes are its value's, or its JSON text's", () => {
  assert.deepEqual(valueBytes({ valueBase64: "AQI=" }), bytes(1, 2));
  assert.equal(new TextDecoder().decode(valueBytes({ value: { ä: 1 } })), '{"ä":1}');
  assert.deepEqual(valueBytes({}), bytes());
  assert.deepEqual(decodeEntry({ key: ["a"], valueBase64: "AQ==", version: 1, revision: 2, created: 3 }), {
    key: ["a"],
    value: bytes(1),
    version: 1,
    revision: 2,
    created: 3,
  });
});

test("key rules: no empty part, no dot at either end, nothing but the allowed characters", () => {
  for (const good of ["a", "a.b", "-/=_.9", "a/b=c"]) checkKey(good);
  for (const bad of ["", ".", ".a", "a.", "a..b", "a b", "a*", "*", ">", "a.>", "ä", "a\n"]) {
    assert.throws(() => checkKey(bad), /invalid key/, bad);
  }
});

test("filters take wildcards as whole parts, > at the end only", () => {
  for (const good of ["*", ">", "a.*", "a.*.b", "a.>", "*.>", "a"]) checkFilter(good);
  for (const bad of ["", ">.a", "a>", "a*", "a.**", "a..*", "a.>.b", ".>"]) {
    assert.throws(() => checkFilter(bad), /invalid key/, bad);
  }
});

test("bucket names", () => {
  for (const good of ["A", "a-b_c9"]) checkBucket(good);
  for (const bad of ["", "a.b", "a b", "a/b", "ä"]) assert.throws(() => checkBucket(bad), /invalid bucket name/, bad);
});

test("keys that have no dotted form are not shown as one that is another's", () => {
  assert.equal(dotted(["a", "b"]), "a.b");
  for (const key of [["a.b"], ["a", 1], ["a", ""], [{ $bytes: "" }], ["ä"], ["a", true]]) assert.equal(dotted(key), null);
});

test("codecs go both ways", () => {
  assert.equal(StringCodec().decode(StringCodec().encode("grüße")), "grüße");
  assert.deepEqual(JSONCodec().decode(JSONCodec().encode({ a: [1] })), { a: [1] });
  assert.throws(() => JSONCodec().encode(undefined), TypeError);
  assert.equal(NoopKvCodecs().key.encode("x"), "x");
  assert.equal(NoopKvCodecs.key.decode("x"), "x");
});

test("base64 keys: each part by itself, URL-safe, wildcards untouched", () => {
  const codec = Base64KeyCodec();
  assert.equal(codec.encode("hello.w"), "aGVsbG8=.dw==");
  assert.equal(codec.encode("??>.*.>"), "Pz8-.*.>");
  for (const key of ["a b.ü~", "x", "??>.ÿÿ"]) {
    checkKey(codec.encode(key));
    assert.equal(codec.decode(codec.encode(key)), key);
  }
  assert.throws(() => checkKey(codec.encode("a..b")));
});
