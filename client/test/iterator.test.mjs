import assert from "node:assert/strict";
import { test } from "node:test";
import { Queued } from "../build/iterator.js";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("items come in order, whether they wait or are waited for", async () => {
  const queue = new Queued();
  const early = queue.next();
  for (let n = 0; n < 5; n++) queue.push(n);
  queue.finish();
  assert.deepEqual(await early, { done: false, value: 0 });
  const rest = [];
  for await (const n of queue) rest.push(n);
  assert.deepEqual(rest, [1, 2, 3, 4]);
  assert.equal(await queue.closed, undefined);
});

test("the counts add up", async () => {
  const queue = new Queued();
  for (let n = 0; n < 3; n++) queue.push(n);
  await queue.next();
  assert.deepEqual([queue.getReceived(), queue.getProcessed(), queue.getPending()], [3, 1, 2]);
});

test("stop ends at once, for those who wait too, and drops what waits", async () => {
  const queue = new Queued();
  const waiting = queue.next();
  queue.stop();
  assert.deepEqual(await waiting, { done: true, value: undefined });
  queue.push(1);
  assert.deepEqual(await queue.next(), { done: true, value: undefined });
  assert.equal(queue.getReceived(), 0);
  assert.ok(queue.stopped.aborted);
});

test("an error ends the iteration after the items before it, and closed tells it", async () => {
  const queue = new Queued();
  queue.push(1);
  queue.finish(new Error("gone"));
  assert.equal((await queue.next()).value, 1);
  await assert.rejects(queue.next(), /gone/);
  assert.deepEqual(await queue.next(), { done: true, value: undefined });
  assert.match((await queue.closed).message, /gone/);
});

test("stop with an error gives it to the iteration", async () => {
  const queue = new Queued();
  const seen = (async () => {
    for await (const _ of queue);
  })();
  await pause(1);
  queue.stop(new Error("enough"));
  await assert.rejects(seen, /enough/);
});

test("leaving the loop stops the producer", async () => {
  const queue = new Queued();
  queue.push(1);
  queue.push(2);
  for await (const _ of queue) break;
  assert.ok(queue.stopped.aborted);
  await queue.closed;
});

test("a producer is held back while too much waits, and goes on when it was taken", async () => {
  const queue = new Queued();
  let pushed = 0;
  const producer = (async () => {
    for (; pushed < 5000; pushed++) await queue.push(pushed);
    queue.finish();
  })();
  await pause(5);
  assert.ok(pushed < 1100, `${pushed} were pushed without a consumer`);
  let expected = 0;
  for await (const n of queue) assert.equal(n, expected++);
  await producer;
  assert.equal(expected, 5000);
});

test("a held back producer is let go by stop", async () => {
  const queue = new Queued();
  const producer = (async () => {
    for (let n = 0; n < 3000; n++) await queue.push(n);
  })();
  await pause(1);
  queue.stop();
  await producer;
});

test("whenTaken waits for what was pushed before it, not for what comes after", async () => {
  const queue = new Queued();
  const seen = [];
  queue.push("a");
  queue.push("b");
  await queue.next();
  queue.whenTaken(() => seen.push("taken"));
  queue.push("c");
  await pause(5);
  assert.deepEqual(seen, []);
  await queue.next();
  await pause(5);
  assert.deepEqual(seen, ["taken"]);
});

test("whenTaken does not wait where nobody takes, or nothing is there", async () => {
  for (const items of [[], ["a"]]) {
    const queue = new Queued();
    for (const item of items) queue.push(item);
    await new Promise((resolve) => queue.whenTaken(resolve));
  }
});
