// What is repeated, what is not, and what callers are told.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, beforeEach, describe, test } from "node:test";
import { KvsClient, KvsError, JsonText } from "../dist/index.js";
import { startFake } from "./lib/fake-server.mjs";

let server;
let client;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// A fault for the first n requests: carried out or not, and then the connection is cut or a status sent.
function faults(n, { done = false, status, body, headers } = {}) {
  let left = n;
  server.fault = async (path, request, res) => {
    if (left-- <= 0) return false;
    if (done) await server[path].call(server, request);
    if (status === undefined) res.destroy();
    else res.writeHead(status, headers).end(body === undefined ? "<html>" : JSON.stringify(body));
    return true;
  };
}

const busy = { error: { code: "busy", message: "busy" } };
const code = (name) => (error) => {
  assert.ok(error instanceof KvsError, String(error));
  assert.equal(error.code, name);
  return true;
};

describe("transport", () => {
  before(async () => {
    server = await startFake();
  });
  after(() => server.stop());
  beforeEach(() => {
    server.fault = null;
    server.requests.length = 0;
    server.buckets.get("default").entries = [];
    server.queue.length = 0;
    client = new KvsClient({ url: `${server.url}/`, token: "secret" });
  });

  test("sends the token as a bearer, JSON as JSON, and further headers", async () => {
    const other = new KvsClient({ url: server.url, token: "secret", headers: { "X-KVS-Token": "too" } });
    await other.get(["a"]);
    const [{ headers }] = server.requests;
    assert.equal(headers.authorization, "Bearer secret");
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers["x-kvs-token"], "too");
  });

  test("reads are repeated after cuts, 500, 502 and 503", async () => {
    await client.set(["a"], 1);
    for (const status of [undefined, 500, 502, 503]) {
      server.requests.length = 0;
      faults(2, { status });
      assert.equal((await client.get(["a"])).value, 1);
      assert.equal(server.count("/kv/get"), 3);
    }
  });

  test("reads are given up after as many tries as were asked for", async () => {
    faults(99);
    const few = new KvsClient({ url: server.url, retries: 1 });
    await assert.rejects(few.get(["a"]), code("network"));
    assert.equal(server.count("/kv/get"), 2);
  });

  test("a plain write is not repeated once its answer was lost", async () => {
    faults(1, { done: true });
    await assert.rejects(client.set(["a"], 1), code("network"));
    assert.equal(server.count("/kv/set"), 1);
  });

  test("nor after a web server's 502, which says nothing of the program behind it", async () => {
    faults(1, { status: 502 });
    await assert.rejects(client.increment(["a"]), (error) => error.code === "bad_response" && error.status === 502);
    assert.equal(server.count("/kv/increment"), 1);
  });

  test("a plain write is repeated when the server says that it did nothing", async () => {
    faults(2, { status: 503, body: busy });
    assert.equal((await client.set(["a"], 1)).version, 1);
    assert.equal(server.count("/kv/set"), 3);
  });

  test("a plain write is repeated where there was no connection", async () => {
    const probe = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    const { port } = probe.address();
    await new Promise((resolve) => probe.close(resolve));
    const early = new KvsClient({ url: `http://127.0.0.1:${port}` });
    const writing = early.set(["late"], 1);
    await pause(60);
    const { http } = server;
    const second = (await import("node:http")).createServer((...pair) => http.emit("request", ...pair));
    await new Promise((resolve) => second.listen(port, "127.0.0.1", resolve));
    assert.equal((await writing).ok, true);
    second.closeAllConnections();
    second.close();
  });

  test("Retry-After is waited for", async () => {
    faults(1, { status: 503, body: busy, headers: { "Retry-After": "1" } });
    const start = Date.now();
    await client.get(["a"]);
    assert.ok(Date.now() - start >= 950);
  });

  test("a write with a check is repeated, and goes through where the first attempt had not", async () => {
    faults(1);
    assert.equal((await client.create(["a"], 1)).version, 1);
    faults(1);
    const { revision } = await client.get(["a"]);
    await client.update(["a"], 2, { revision });
    assert.equal((await client.get(["a"])).value, 2);
  });

  test("a repeated check that fails is told as an unknown outcome, not as a conflict", async () => {
    faults(1, { done: true });
    await assert.rejects(client.create(["a"], 1), code("outcome_unknown"));
    faults(1, { done: true });
    const operation = client.atomic().check({ key: ["a"], version: 1 }).set(["a"], 2);
    await assert.rejects(operation.commit(), code("outcome_unknown"));
    assert.equal((await client.get(["a"])).value, 2);
  });

  test("a conflict at the first attempt is a conflict, with what is there now", async () => {
    const { revision } = await client.set(["a"], 1);
    await assert.rejects(client.create(["a"], 2), (error) => code("conflict")(error) && error.revision === revision);
  });

  const guarded = [
    ["a check on a key that is set", (a) => a.check({ key: ["k"], version: null }).set(["k"], 1), true],
    ["a check on another key", (a) => a.check({ key: ["j"], version: null }).set(["k"], 1), false],
    ["no check", (a) => a.set(["k"], 1), false],
    ["a check that the deleted key be missing", (a) => a.check({ key: ["k"], version: null }).delete(["k"]), false],
    ["set and deleted again", (a) => a.check({ key: ["k"], version: null }).set(["k"], 1).delete(["k"]), false],
  ];
  for (const [name, build, repeats] of guarded) {
    test(`an atomic operation with ${name} is ${repeats ? "" : "not "}repeated`, async () => {
      faults(1);
      const done = build(client.atomic()).commit();
      if (repeats) assert.equal((await done).ok, true);
      else await assert.rejects(done, code("network"));
      assert.equal(server.count("/kv/atomic"), repeats ? 2 : 1);
    });
  }

  test("an enqueue is repeated only where a dedupeId makes it safe", async () => {
    faults(1);
    await assert.rejects(client.enqueue(1), code("network"));
    faults(1);
    assert.equal((await client.enqueue(1, { dedupeId: "x" })).ok, true);
  });

  test("acknowledge passes the lease, and is repeated with it", async () => {
    await client.enqueue("job");
    const [message] = await client.dequeue();
    faults(1);
    assert.equal(await client.acknowledge(message.id), true);
    assert.equal(server.requests.at(-1).body.lease, message.lease);
    assert.equal(await client.acknowledge(message.id), false);
    assert.equal("lease" in server.requests.at(-1).body, false);
  });

  test("an answer that is cut within is no answer", async () => {
    server.fault = (path, body, res) => {
      server.fault = null;
      res.writeHead(200, { "Content-Length": "100" });
      res.write('{"entry":');
      setTimeout(() => res.destroy(), 5);
      return true;
    };
    assert.equal(await client.get(["a"]), null);
    assert.equal(server.count("/kv/get"), 2);
  });

  test("a page of a web server in place of an answer is told as such", async () => {
    faults(9, { status: 200 });
    await assert.rejects(new KvsClient({ url: server.url, retries: 0 }).get(["a"]), code("bad_response"));
    faults(1, { status: 404 });
    await assert.rejects(client.get(["a"]), (error) => code("bad_response")(error) && error.status === 404);
  });

  test("the server's errors come with code, status and field, and are not repeated", async () => {
    faults(1, { status: 400, body: { error: { code: "bad_request", message: "no", field: "mutations[2].key" } } });
    await assert.rejects(client.atomic().commit(), (error) => {
      assert.deepEqual([error.code, error.status, error.field, error.message], ["bad_request", 400, "mutations[2].key", "no"]);
      return true;
    });
    assert.equal(server.requests.length, 1);
  });

  test("a call ends in time, and its signal ends it at once with its own reason", async () => {
    server.fault = () => new Promise(() => {});
    await assert.rejects(client.get(["a"], { timeoutMs: 40 }), code("timeout"));
    const abort = new AbortController();
    const waiting = client.get(["a"], { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 10);
    await assert.rejects(waiting, /enough/);
    await assert.rejects(client.get(["a"], { signal: abort.signal }), /enough/);
  });

  test("an abort ends the pause between two tries", async () => {
    faults(99, { status: 503, body: busy, headers: { "Retry-After": "5" } });
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("enough")), 30);
    const start = Date.now();
    await assert.rejects(client.get(["a"], { signal: abort.signal }), /enough/);
    assert.ok(Date.now() - start < 1000);
  });

  test("health tells of a server that is not well, and fails without one", async () => {
    assert.equal((await client.health()).ok, true);
    faults(99, { status: 503, body: { ok: false } });
    assert.equal((await new KvsClient({ url: server.url, retries: 0 }).health()).ok, false);
    faults(99);
    await assert.rejects(new KvsClient({ url: server.url, retries: 0 }).health(), code("network"));
    await assert.rejects(new KvsClient({ url: server.url, retries: 0 }).open(), code("network"));
  });

  test("values are sent exactly", async () => {
    await client.set(["a"], { n: 2n ** 64n, raw: new JsonText("1.00") });
    assert.match(server.requests.at(-1).text, /"n":18446744073709551616,"raw":1\.00/);
    await assert.rejects(async () => client.set(["a"], undefined), TypeError);
    await assert.rejects(async () => client.enqueue(new Uint8Array(1)), TypeError);
  });
});
