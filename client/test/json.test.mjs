import assert from "node:assert/strict";
import { test } from "node:test";
import { JsonText, parse, stringify } from "../build/json.js";

test("bigints are written as integers of any length, wherever they stand", () => {
  const digits = "123456789012345678901234567890";
  assert.equal(stringify({ a: [BigInt(digits), { b: -5n }], c: "x" }), `{"a":[${digits},{"b":-5}],"c":"x"}`);
});

test("JsonText is written exactly as it stands", () => {
  assert.equal(stringify({ value: new JsonText("1.0"), more: [new JsonText('{"a": 1e2}')] }), '{"value":1.0,"more":[{"a": 1e2}]}');
});

test("JsonText that is not JSON never reaches a body", () => {
  assert.throws(() => stringify({ value: new JsonText('1,"ttl":5') }), SyntaxError);
});

test("toJSON, undefined and nested arrays behave as in JSON.stringify beside a bigint", () => {
  const value = { at: new Date(0), gone: undefined, list: [undefined, null], n: 1n };
  assert.equal(stringify(value), '{"at":"1970-01-01T00:00:00.000Z","list":[null,null],"n":1}');
});

test("a cyclic value is refused, one that is merely used twice is not", () => {
  const shared = { n: 1n };
  assert.equal(stringify([shared, shared]), '[{"n":1},{"n":1}]');
  const cyclic = { n: 1n };
  cyclic.self = cyclic;
  assert.throws(() => stringify(cyclic), TypeError);
});

test("strings that look like marks are left alone", () => {
  assert.equal(stringify({ a: "kvs-x-1-0", b: 1n }), '{"a":"kvs-x-1-0","b":1}');
  assert.deepEqual(parse('{"a":"kvs-x-1-0","b":9007199254740993}', "bigint"), { a: "kvs-x-1-0", b: 9007199254740993n });
});

test("unsafe integers come as bigints, everything else as ever", () => {
  const text = '{"a":9007199254740993,"b":-9007199254740993,"c":9007199254740991,"d":1e30,"e":"9007199254740993","f":[1.5]}';
  assert.deepEqual(parse(text, "bigint"), {
    a: 9007199254740993n,
    b: -9007199254740993n,
    c: 9007199254740991,
    d: 1e30,
    e: "9007199254740993",
    f: [1.5],
  });
});

test("raw values keep their text to the last character", () => {
  for (const value of ["1.0", "-0", "1E400", '"\\u0000\\ud800 \\" }"', '{ "value" : [1, {"value":2}] }', "[]", "{}", "null", "true"]) {
    const { entry } = parse(`{"entry":{"key":["value"],"value": ${value} ,"version":3}}`, "raw");
    assert.equal(entry.value.text, value);
    assert.equal(entry.version, 3);
    assert.deepEqual(entry.key, ["value"]);
  }
});

test("raw reads find every payload of a batch", () => {
  const answer = parse('{"messages":[{"id":1,"payload":[1.0]},{"id":2,"payload":"a]"},{"id":3,"payload":{"payload":0}}]}', "raw");
  assert.deepEqual(answer.messages.map(({ payload }) => payload.text), ["[1.0]", '"a]"', '{"payload":0}']);
});

test("a member named __proto__ stays a member", () => {
  const value = parse('{"__proto__":9007199254740993}', "bigint");
  assert.deepEqual(Object.entries(value), [["__proto__", 9007199254740993n]]);
});

test("a megabyte of escapes is read without trouble", () => {
  const text = JSON.stringify({ value: "\n\\".repeat(500_000), other: 1 });
  const raw = parse(text, "raw");
  assert.equal(raw.value.parse().length, 1_000_000);
  assert.equal(raw.other, 1);
});

test("what is cut is refused in every mode", () => {
  for (const mode of ["plain", "bigint", "raw"]) assert.throws(() => parse('{"value":[1,2', mode), SyntaxError);
});
