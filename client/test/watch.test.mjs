// Watches over streams that are cut, buffered or resumed, and over long polls.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { KvsClient, KvWatchInclude } from "../dist/index.js";
import { FakeBucket } from "./lib/fake-store.mjs";
import { startFake } from "./lib/fake-server.mjs";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let server;
let bucket;

async function until(what, ms = 5000) {
  for (const end = Date.now() + ms; Date.now() < end; await pause(3)) if (await what()) return;
  assert.fail(`never happened: ${what}`);
}

const text = (entries) => entries.map((e) => `${e.key}@${e.revision}${e.operation === "PUT" ? "" : e.operation}`).join(" ");

// Both ways that a watch may go.
for (const stream of [true, false]) {
  describe(stream ? "streaming" : "long polls", { timeout: 60_000 }, () => {
    let client;
    let kv;
    before(async () => {
      server = await startFake();
    });
    after(() => server.stop());
    beforeEach(async () => {
      server.fault = null;
      server.requests.length = 0;
      bucket = new FakeBucket("b", { history: 5 });
      server.buckets.set("b", bucket);
      server.buckets.set("default", new FakeBucket("default"));
      client?.close();
      client = new KvsClient({ url: server.url, stream, heartbeatMs: 200 });
      kv = await client.kv("b");
    });
    after(() => client.close());

    const put = (key, value = "x") => bucket.commit([{ key: key.split("."), valueBase64: btoa(value) }]);
    const collect = async (options, n) => {
      const seen = [];
      for await (const entry of await kv.watch(options)) {
        seen.push(entry);
        if (seen.length === n) break;
      }
      return seen;
    };

    test("latest: each key once, markers too, then what comes", async () => {
      put("a");
      put("b");
      put("a");
      bucket.commit([{ key: ["b"], operation: "DEL" }]);
      const watch = await kv.watch({});
      const entries = [(await watch.next()).value, (await watch.next()).value];
      put("c");
      entries.push((await watch.next()).value);
      watch.stop();
      assert.equal(text(entries), "a@3 b@4DEL c@5");
      assert.deepEqual(entries.map((e) => e.delta), [1, 0, 0]);
      assert.deepEqual(entries.map((e) => e.isUpdate), [false, false, true]);
    });

    test("history, updates, filters, from a revision, without markers, without values", async () => {
      put("a.x", "12345");
      put("b.x");
      put("a.x", "123");
      bucket.commit([{ key: ["a", "x"], operation: "DEL" }]);
      assert.equal(text(await collect({ include: KvWatchInclude.AllHistory, key: "a.*" }, 3)), "a.x@1 a.x@3 a.x@4DEL");
      assert.equal(text(await collect({ include: "history", ignoreDeletes: true, key: ["a.>"] }, 2)), "a.x@1 a.x@3");
      assert.equal(text(await collect({ resumeFromRevision: 3 }, 2)), "a.x@3 a.x@4DEL");
      const [head] = await collect({ include: "history", headers_only: true }, 1);
      assert.deepEqual([head.value.length, head.length], [0, 5]);
      const watch = await kv.watch({ include: KvWatchInclude.UpdatesOnly });
      put("n");
      const { value } = await watch.next();
      assert.equal(text([value]), "n@5");
      assert.equal(value.isUpdate, true);
      watch.stop();
      assert.equal(await watch.closed, undefined);
    });

    test("initialized comes after the initial entries, also where there are none", async () => {
      const empty = await kv.watch();
      await empty.initialized;
      empty.stop();
      put("a");
      put("b");
      const order = [];
      const watch = await kv.watch({ initializedFn: () => order.push("initialized") });
      void (async () => {
        for await (const entry of watch) order.push(entry.key);
      })();
      await watch.initialized;
      assert.deepEqual(order, ["a", "b", "initialized"]);
      put("c");
      await until(() => order.length === 4);
      watch.stop();
    });

    test("refusals reject the call; a bucket that is destroyed ends the watch", async () => {
      bucket.revision = bucket.compacted = 5;
      await assert.rejects(kv.watch({ resumeFromRevision: 2 }), { code: "compacted", revision: 5 });
      await assert.rejects(kv.watch({ key: "a..b" }), /invalid key/);
      await assert.rejects(kv.watch({ include: "sometimes" }), TypeError);
      const watch = await kv.watch();
      await kv.destroy();
      assert.deepEqual(await watch.next(), { done: true, value: undefined });
    });

    test("a destroyed bucket ends the watches of others", async () => {
      const watch = await kv.watch();
      await pause(20);
      await (await client.kv("b")).destroy();
      if (!stream) client.close(); // the poll under way is at its end only later
      assert.equal(await watch.closed, undefined);
    });

    test("close ends the watches of a bucket, the client's close those of all", async () => {
      const one = await kv.watch();
      await kv.close();
      assert.equal(await one.closed, undefined);
      const two = await kv.watch();
      client.close();
      assert.equal(await two.closed, undefined);
      const three = await kv.watch();
      put("after");
      assert.equal((await three.next()).value.key, "after");
      three.stop();
    });

    test("keys with no dotted form are left out", async () => {
      bucket.commit([{ key: ["a", 1], value: 1 }]);
      put("b");
      assert.equal(text(await collect({}, 1)), "b@2");
    });

    test("watched keys: all at once, null where missing, a transaction shown as one", async () => {
      const seen = [];
      const watch = client.watch([["a"], ["b"]], (entries) => seen.push(entries.map((entry) => entry?.value ?? null)));
      await until(() => seen.length === 1);
      const store = server.buckets.get("default");
      store.commit([{ key: ["a"], value: 1 }, { key: ["b"], value: 2 }]);
      await until(() => seen.length === 2);
      store.commit([{ key: ["a"], operation: "DEL" }]);
      store.commit([{ key: ["other"], value: 1 }]);
      await until(() => seen.length === 3);
      await pause(30);
      watch.cancel();
      store.commit([{ key: ["b"], value: 3 }]);
      await pause(30);
      assert.deepEqual(seen, [[null, null], [1, 2], [null, 2]]);
    });

    test("watched keys: transactions that come together are shown one by one", async () => {
      const seen = [];
      const watch = client.watch([["a"], ["b"]], (entries) => seen.push(entries.map((entry) => entry?.value ?? null)));
      await until(() => seen.length === 1);
      const store = server.buckets.get("default");
      store.options.history = 9;
      store.commit([{ key: ["a"], value: 1 }]);
      store.commit([{ key: ["b"], value: 2 }]);
      store.commit([{ key: ["a"], value: 3 }]);
      await until(() => seen.length === 4);
      watch.cancel();
      assert.deepEqual(seen, [[null, null], [1, null], [1, 2], [3, 2]]);
    });

    test("watched keys as an iteration", async () => {
      const seen = [];
      setTimeout(() => client.set(["a"], 1), 30);
      for await (const [a] of client.watch([["a"]])) {
        seen.push(a?.value ?? null);
        if (a) break;
      }
      assert.deepEqual(seen, [null, 1]);
    });

    test("listen hands out what comes, and what the callback throws goes back", async () => {
      const seen = [];
      const errors = [];
      const options = { onError: (error) => errors.push(error.message) };
      const listener = client.listen("t", async (message) => {
        seen.push(message.payload);
        if (seen.length === 1) throw new Error("first");
        await client.acknowledge(message.id);
      }, options);
      await client.enqueue("job", { topic: "t" });
      await until(() => server.queue.length === 0);
      listener.cancel();
      assert.deepEqual(seen, ["job", "job"]);
      assert.deepEqual(errors, ["first"]);
    });
  });
}

describe("faults", { timeout: 60_000 }, () => {
  let client;
  before(async () => {
    server = await startFake();
  });
  after(() => server.stop());
  beforeEach(() => {
    server.fault = null;
    server.requests.length = 0;
    bucket = new FakeBucket("b", { history: 1000 });
    server.buckets.set("b", bucket);
    server.buckets.set("default", new FakeBucket("default"));
    client?.close();
    client = new KvsClient({ url: server.url, heartbeatMs: 200 });
  });
  after(() => client.close());

  test("cuts at any byte, of initial entries too: the sequence is exact", async () => {
    for (let n = 0; n < 300; n++) bucket.commit([{ key: ["k", String(n % 50)], value: n }]);
    let bytes = 100;
    server.fault = (path, body, res) => {
      if (path !== "/kv/watch") return false;
      const { write } = res;
      let left = (bytes = bytes * 1.3 + 30);
      res.write = (chunk) => {
        write.call(res, chunk.slice(0, Math.max(0, left)));
        if ((left -= chunk.length) <= 0) setImmediate(() => res.destroy());
        return true;
      };
      return false;
    };
    const kv = await client.kv("b");
    const watch = await kv.watch({ include: "history" });
    const seen = [];
    const writer = (async () => {
      for (let n = 0; n < 300; n++) {
        bucket.commit([{ key: ["k", String(n)], value: n }, { key: ["l"], value: n }]);
        if (n % 10 === 0) await pause(2);
      }
    })();
    for await (const entry of watch) if (seen.push(`${entry.key}@${entry.revision}`) === 900) break;
    await writer;
    assert.deepEqual(seen, bucket.entries.map((entry) => `${entry.key.join(".")}@${entry.revision}`));
    assert.ok(server.count("/kv/watch") > 5, `${server.count("/kv/watch")} streams`);
  });

  test("a cut between two entries of one transaction loses neither and repeats neither", async () => {
    const kv = await client.kv("b");
    const watch = await kv.watch();
    await watch.initialized;
    let cut = true;
    for (const res of server.streams) {
      const { write } = res;
      res.write = (chunk) => {
        if (cut) write.call(res, chunk);
        if (cut) setImmediate(() => res.destroy());
        return !(cut = false);
      };
    }
    bucket.commit(["a", "b", "c"].map((key) => ({ key: [key], value: 1 })));
    bucket.commit([{ key: ["d"], value: 1 }]);
    const seen = [];
    for await (const entry of watch) if (seen.push(entry) === 4) break;
    assert.equal(text(seen), "a@1 b@1 c@1 d@2");
  });

  test("a stream that ends in an orderly way is resumed, without what came already", async () => {
    const kv = await client.kv("b");
    const watch = await kv.watch();
    bucket.commit([{ key: ["a"], value: 1 }]);
    await watch.next();
    for (const res of server.streams) res.end('{"type":"end","reason":"limit","revision":1}\n');
    bucket.commit([{ key: ["b"], value: 1 }]);
    assert.equal((await watch.next()).value.key, "b");
    watch.stop();
  });

  test("markers that were dropped after they came do not end a watch; changes that were missed do", async () => {
    const kv = await client.kv("b");
    const watch = await kv.watch();
    bucket.commit([{ key: ["a"], operation: "DEL" }]);
    await watch.next();
    bucket.compacted = 1;
    server.cut();
    await pause(100);
    bucket.commit([{ key: ["b"], value: 1 }]);
    assert.equal((await watch.next()).value.key, "b");
    server.fault = (path, body, res) => (path === "/kv/watch" ? (res.destroy(), true) : false);
    server.cut();
    bucket.revision = bucket.compacted = 50;
    server.fault = null;
    await assert.rejects(watch.next(), { code: "compacted" });
    assert.equal((await watch.closed).code, "compacted");
  });

  test("watched keys start anew where changes were missed, and gone keys show it", async () => {
    const store = server.buckets.get("default");
    store.commit([{ key: ["a"], value: 1 }]);
    const seen = [];
    const watch = client.watch([["a"]], ([a]) => seen.push(a?.value ?? null));
    await until(() => seen.length === 1);
    store.entries = [];
    store.revision = store.compacted = 9;
    server.cut();
    await until(() => seen.length === 2);
    watch.cancel();
    assert.deepEqual(seen, [1, null]);
  });

  test("a stream without a sign of life is given up and resumed", async () => {
    const kv = await client.kv("b");
    const watch = await kv.watch();
    bucket.wait = (ms, signal) => FakeBucket.prototype.wait.call(bucket, 60_000, signal); // no heartbeats
    bucket.commit([{ key: ["a"], value: 1 }]);
    await watch.next();
    const before = server.count("/kv/watch");
    await until(() => server.count("/kv/watch") > before, 3000);
    bucket.commit([{ key: ["b"], value: 1 }]);
    assert.equal((await watch.next()).value.key, "b");
    watch.stop();
  });

  test("where streams are cut before their first line, long polls take over", async () => {
    server.fault = (path, body, res) => {
      if (path !== "/kv/watch") return false;
      res.writeHead(200).end();
      return true;
    };
    const kv = await client.kv("b");
    bucket.commit([{ key: ["a"], value: 1 }]);
    const watch = await kv.watch();
    assert.equal((await watch.next()).value.key, "a");
    bucket.commit([{ key: ["b"], value: 1 }]);
    assert.equal((await watch.next()).value.key, "b");
    assert.ok(server.count("/kv/changes") > 0);
    assert.equal(server.count("/kv/watch"), 2);
    watch.stop();
  });

  test("where streams are held back, long polls take over, for later watches at once", async () => {
    server.fault = (path) => path === "/kv/watch";
    const kv = await client.kv("b");
    bucket.commit([{ key: ["a"], value: 1 }]);
    const start = Date.now();
    const watch = await kv.watch();
    assert.equal((await watch.next()).value.key, "a");
    assert.ok(Date.now() - start < 20_000);
    const again = Date.now();
    const second = await kv.watch();
    assert.equal((await second.next()).value.key, "a");
    assert.ok(Date.now() - again < 1000);
    watch.stop();
    second.stop();
  });

  test("a server that is away for a while is waited for", async () => {
    const kv = await client.kv("b");
    const watch = await kv.watch();
    await watch.initialized;
    let away = true;
    server.fault = (path, body, res) => away && (res.writeHead(503).end("<html>"), true);
    server.cut();
    bucket.commit([{ key: ["a"], value: 1 }]);
    await pause(1500);
    away = false;
    assert.equal((await watch.next()).value.key, "a");
    watch.stop();
  });

  test("a consumer that is slow holds the server back, and misses nothing", async () => {
    const kv = await client.kv("b");
    const watch = await kv.watch();
    for (let n = 0; n < 3000; n++) bucket.commit([{ key: ["k"], value: n }]);
    await pause(300);
    assert.ok(watch.getPending() < 1100, `${watch.getPending()} entries wait`);
    server.cut();
    const seen = [];
    bucket.entries.forEach((entry) => seen.push(entry.revision));
    let expected = 1;
    for await (const { revision } of watch) {
      if (revision < expected) assert.fail(`${revision} again`);
      expected = revision + 1;
      if (revision === 3000) break;
    }
  });

  test("without a server, a watch call fails, and a callback watch waits", async () => {
    const kv = await client.kv("b");
    server.fault = (path, body, res) => path === "/kv/watch" && (res.destroy(), true);
    await assert.rejects(kv.watch(), { code: "network" });
    const seen = [];
    const watch = client.watch([["a"]], (entries) => seen.push(entries));
    await pause(100);
    server.fault = null;
    await until(() => seen.length === 1);
    watch.cancel();
  });

  test("what a callback throws is told to onError, and the watch goes on", async () => {
    const errors = [];
    let calls = 0;
    const watch = client.watch([["a"]], () => {
      if (++calls === 1) throw new Error("mine");
    }, { onError: (error) => errors.push(error.message) });
    await until(() => calls === 1);
    await client.set(["a"], 1);
    await until(() => calls === 2);
    watch.cancel();
    assert.deepEqual(errors, ["mine"]);
  });
});
