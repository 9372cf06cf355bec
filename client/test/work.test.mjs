// Workers, locks, and what computes by check-and-set.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { KvsClient } from "../dist/index.js";
import { startFake } from "./lib/fake-server.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let server;
let client;

async function until(what, ms = 5000) {
  for (const end = Date.now() + ms; Date.now() < end; await pause(3)) if (await what()) return;
  assert.fail(`never happened: ${what}`);
}

before(async () => {
  server = await startFake();
});
after(() => server.stop());
beforeEach(() => {
  server.fault = null;
  server.requests.length = 0;
  server.queue.length = 0;
  server.locks.clear();
  server.buckets.get("default").entries = [];
  client = new KvsClient({ url: server.url });
});
// A worker that a failed test left at work would take the messages of the next.
afterEach(() => client.close());

describe("worker", () => {
  const fill = async (n) => {
    for (let i = 0; i < n; i++) await client.enqueue(i, { topic: "t" });
  };

  test("handles everything, never more at a time than was asked for", async () => {
    await fill(40);
    const seen = new Set();
    let active = 0;
    let most = 0;
    const worker = client.worker("t", async ({ payload }) => {
      most = Math.max(most, ++active);
      await pause(5);
      active--;
      seen.add(payload);
    }, { concurrency: 8, waitMs: 20 });
    await until(() => server.queue.length === 0);
    await worker.stop();
    assert.equal(seen.size, 40);
    assert.equal(most, 8);
    assert.equal(worker.active, 0);
  });

  test("what a handler throws gives the message back, after the delay asked for", async () => {
    await fill(1);
    const errors = [];
    let calls = 0;
    const worker = client.worker("t", () => {
      if (++calls === 1) throw new Error("not yet");
    }, { waitMs: 20, retryDelay: () => 7, onError: (error, message) => errors.push([error.message, message?.payload]) });
    await until(() => server.queue.length === 0);
    await worker.stop();
    assert.equal(calls, 2);
    assert.deepEqual(errors, [["not yet", 0]]);
    assert.equal(server.requests.find(({ path }) => path === "/queue/nack").body.delay, 7);
  });

  test("leases are extended while a handler runs", async () => {
    await fill(1);
    const worker = client.worker("t", () => until(() => server.count("/queue/extend") >= 3), { leaseMs: 900, waitMs: 20 });
    await until(() => server.queue.length === 0);
    await worker.stop();
    const extended = server.count("/queue/extend");
    await pause(400);
    assert.equal(server.count("/queue/extend"), extended, "and no longer");
  });

  test("a lost lease aborts the handler's signal, and nothing is acknowledged", async () => {
    await fill(1);
    let aborted = false;
    const worker = client.worker("t", async (message, { signal }) => {
      server.queue[0].lease = "another's";
      await until(() => signal.aborted);
      aborted = true;
    }, { leaseMs: 60, waitMs: 20 });
    await until(() => aborted);
    await worker.stop();
    assert.equal(server.count("/queue/ack"), 0);
  });

  test("stop waits for the handlers at hand", async () => {
    await fill(2);
    let done = 0;
    const worker = client.worker("t", async () => {
      await pause(80);
      done++;
    }, { concurrency: 2, waitMs: 20 });
    await until(() => worker.active === 2);
    await worker.stop();
    assert.equal(done, 2);
    assert.equal(server.queue.length, 0);
  });

  test("lost answers and a server that is away are lived through; each message is acknowledged once", async () => {
    await fill(30);
    const acked = new Map();
    let n = 0;
    server.fault = async (path, body, res) => {
      const lose = ++n % 3 === 0 && (path === "/queue/ack" || path === "/queue/extend");
      if (path === "/queue/ack") {
        const answer = server[path](body);
        if (answer.ok) acked.set(body.id, (acked.get(body.id) ?? 0) + 1);
        if (lose) res.destroy();
        else res.end(JSON.stringify(answer));
        return true;
      }
      if (path === "/queue/dequeue" && n % 5 === 0) return res.writeHead(503).end("<html>"), true;
      return false;
    };
    const worker = client.worker("t", () => pause(2), { concurrency: 4, waitMs: 20 });
    await until(() => server.queue.length === 0, 15_000);
    await worker.stop();
    assert.equal(acked.size, 30);
    assert.ok([...acked.values()].every((times) => times === 1));
  });

  test("a refusal ends the worker and is told by closed", async () => {
    server.fault = (path, body, res) =>
      (res.writeHead(403).end('{"error":{"code":"forbidden","message":"no"}}'), true);
    const worker = client.worker("t", () => {});
    await assert.rejects(worker.closed, { code: "forbidden" });
  });

  test("a signal and the client's close stop it too", async () => {
    const abort = new AbortController();
    const one = client.worker("t", () => {}, { waitMs: 20, signal: abort.signal });
    const two = client.worker("t", () => {}, { waitMs: 20 });
    abort.abort();
    await one.closed;
    client.close();
    await two.closed;
  });
});

describe("lock", () => {
  test("one holder at a time, fences that grow, release lets the next in", async () => {
    const first = await client.lock("l", { ttl: 10_000, owner: "me" }).acquire();
    assert.equal(first.held, true);
    assert.equal(await client.lock("l").tryAcquire(), null);
    await assert.rejects(client.lock("l").acquire({ timeoutMs: 60 }), (error) => {
      assert.equal(error.code, "lock_timeout");
      assert.match(error.message, /by me/);
      return true;
    });
    const next = client.lock("l", { ttl: 10_000 }).acquire();
    assert.equal(await first.release(), true);
    assert.equal(first.held, false);
    const second = await next;
    assert.ok(second.fence > first.fence);
    assert.equal(first.signal.aborted, false);
    await second.release();
  });

  test("it is renewed while it is held, also across lost answers", async () => {
    let n = 0;
    server.fault = (path, body, res) => path === "/lock/renew" && ++n % 2 === 1 && (res.destroy(), true);
    const lock = await client.lock("l", { ttl: 1500 }).acquire();
    await until(() => server.count("/lock/renew") >= 5);
    assert.equal(lock.held, true);
    assert.equal(await client.lock("l").tryAcquire(), null);
    assert.equal(await lock.release(), true);
  });

  test("its loss aborts the signal", async () => {
    const lock = await client.lock("l", { ttl: 300 }).acquire();
    server.locks.get("l").token = "another's";
    await until(() => lock.signal.aborted);
    assert.match(lock.signal.reason.message, /lost/);
    assert.equal(lock.held, false);
    assert.equal(await lock.release(), false);
  });

  test("a server that is away costs it no sooner and no later than its time", async () => {
    const start = Date.now();
    const lock = await client.lock("l", { ttl: 500 }).acquire();
    server.fault = (path, body, res) => (res.destroy(), true);
    await until(() => lock.signal.aborted);
    assert.ok(Date.now() - start >= 495, `${Date.now() - start} ms`);
  });

  test("it can be used with `await using`, and waiting can be aborted", async () => {
    const lock = await client.lock("l").acquire();
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("enough")), 20);
    await assert.rejects(client.lock("l").acquire({ signal: abort.signal }), /enough/);
    if (Symbol.asyncDispose) await lock[Symbol.asyncDispose]();
    else await lock.release();
    assert.equal(lock.held, false);
  });
});

describe("check-and-set", () => {
  test("conditionalUpdate: many at once lose nothing", async () => {
    const add = () => client.conditionalUpdate(["n"], (n) => (n ?? 0) + 1, { retries: 200 });
    const results = await Promise.all(Array.from({ length: 20 }, add));
    assert.deepEqual(results.map(({ value }) => value).sort((a, b) => a - b), Array.from({ length: 20 }, (_, n) => n + 1));
    assert.equal((await client.get(["n"])).value, 20);
  });

  test("conditionalUpdate: undefined changes nothing, and giving up is a conflict", async () => {
    await client.set(["n"], 1);
    assert.deepEqual(await client.conditionalUpdate(["n"], () => undefined), { ok: false, value: 1 });
    const racing = client.conditionalUpdate(["n"], async (n) => {
      await client.set(["n"], 5);
      return n + 1;
    }, { retries: 2 });
    await assert.rejects(racing, { code: "conflict" });
    assert.equal((await client.get(["n"])).value, 5);
  });

  test("conditionalUpdate never applies a change twice when an answer is lost", async () => {
    await client.set(["n"], 1);
    server.fault = async (path, body, res) => {
      if (path !== "/kv/update") return false;
      server.fault = null;
      await server[path](body);
      res.destroy();
      return true;
    };
    await assert.rejects(client.conditionalUpdate(["n"], (n) => n + 1), { code: "outcome_unknown" });
    assert.equal((await client.get(["n"])).value, 2);
  });

  test("getAsync computes once per process and key, for all clients", async () => {
    const other = new KvsClient({ url: `${server.url}/` });
    let runs = 0;
    const compute = async () => {
      await pause(20);
      return { n: ++runs };
    };
    const all = await Promise.all([client, other, client].map((one) => one.getAsync(["c"], compute, 1000)));
    assert.deepEqual(all, [{ n: 1 }, { n: 1 }, { n: 1 }]);
    assert.deepEqual(await other.getAsync(["c"], compute), { n: 1 });
    assert.equal(runs, 1);
    assert.equal(server.requests.find(({ path }) => path === "/kv/create").body.ttl, 1000);
  });

  test("getAsync gives what another process was first to write", async () => {
    const value = await client.getAsync(["c"], async () => {
      await client.set(["c"], "theirs");
      return "mine";
    });
    assert.equal(value, "theirs");
  });

  test("getAsync caches no failure, and null and false are values", async () => {
    await assert.rejects(client.getAsync(["c"], () => { throw new Error("no"); }), /no/);
    assert.equal(await client.getAsync(["c"], () => null), null);
    assert.equal(await client.getAsync(["c"], () => "again"), null);
  });

  test("counter", async () => {
    const counter = client.counter(["hits"]);
    assert.equal(await counter.get(), 0);
    assert.equal(await counter.increment(), 1);
    assert.equal(await counter.add(5), 6);
    assert.equal(await counter.decrement(), 5);
    await counter.reset();
    assert.equal(await counter.get(), 0);
  });
});
