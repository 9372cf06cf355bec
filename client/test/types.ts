// What must type-check, and what must not. Compiled by a test against the installed package, never run.
import {
  Base64KeyCodec,
  JSONCodec,
  type Entry,
  isKvsError,
  JsonText,
  type KV,
  type KvEntry,
  KvsClient,
  KvsError,
  KvWatchInclude,
  type KvWatchIterator,
  type Message,
  NoopKvCodecs,
  type QueuedIterator,
  type RoKV,
  StringCodec,
} from "kvs-client";

interface User {
  name: string;
}

const client = new KvsClient({ url: "http://127.0.0.1", token: "t" });
const key = ["users", 1, true, 5n, new Uint8Array(1)] as const;

export async function store(): Promise<void> {
  const entry: Entry<User> | null = await client.get<User>(key);
  const name: string | undefined = entry?.value.name;
  const raw: JsonText | undefined = (await client.get(key, { raw: true }))?.value;
  const loose = await client.get(key);
  // @ts-expect-error a value without a type is unknown
  loose?.value.name;
  // @ts-expect-error a key is an array
  await client.get("users");
  // @ts-expect-error a part is no object
  await client.get([{}]);
  // @ts-expect-error there is no such option
  await client.set(key, 1, { tll: 5 });
  await client.set(key, new Uint8Array(1), { ttl: 5, signal: new AbortController().signal, timeoutMs: 5 });
  for await (const { value } of client.list<User>({ prefix: ["users"] }, { limit: 5 })) value.name;
  const { entries, cursor } = await client.list<User>({ prefix: ["users"] });
  const users: User[] = entries.map(({ value }) => value);
  const next: string | null = cursor;
  client.list().catch(() => null).finally(() => undefined);
  const result = await client.atomic().check({ key, version: null }, { key, revision: 3 }).set(key, { name }).commit();
  if (result.ok) result.version.toFixed();
  else result.failed.length;
  const computed: User = await client.getAsync<User>(key, () => ({ name: "x" }), 1000);
  const updated = await client.conditionalUpdate<number>(key, (n) => (n ?? 0) + 1);
  if (updated.ok) updated.value.toFixed();
  const n: number = (await client.increment(key, 2)).value;
  const big: number | bigint = (await client.increment(key, 2n)).value;
  void [raw, users, next, computed, n, big];
}

export async function queue(): Promise<void> {
  const messages: Message<User>[] = await client.dequeue<User>("t", 5, { waitMs: 5 });
  const done: boolean = await client.acknowledge(messages[0]!.id);
  const worker = client.worker<User>("t", async ({ payload }, { signal }) => [payload.name, signal.aborted], { concurrency: 2 });
  await worker.stop();
  client.listen<User>("t", ({ payload }) => payload.name).cancel();
  client.watch<User>([key], ([entry]) => entry?.value.name).cancel();
  for await (const [entry] of client.watch<User>([key])) entry?.value.name;
  const lock = await client.lock("l", { ttl: 5 }).acquire({ timeoutMs: 5 });
  await using held = lock;
  void [done, held.fence.toFixed(), held.signal.aborted];
}

export async function buckets(): Promise<void> {
  const kv: KV = await client.kv("b", { history: 5, max_bytes: 5, republish: { src: ">", dest: "t" } });
  const revision: number = await kv.put("a.b", "x", { previousSeq: 1 });
  await kv.put("a", new Uint8Array(1));
  // @ts-expect-error without a codec, values are text or bytes
  await kv.put("a", { name: "x" });
  const entry: KvEntry | null = await kv.get("a", { revision });
  entry?.json<User>().name;
  const typed = await client.bucket("b", { codec: { key: Base64KeyCodec(), value: JSONCodec<User>() } });
  await typed.put("a", { name: "x" });
  // @ts-expect-error another type than the codec's
  await typed.put("a", "x");
  const user: User | undefined = (await typed.get("a"))?.decoded();
  await client.views.kv("b", { codec: StringCodec() });
  await client.kv("b", { codec: NoopKvCodecs() });
  const watch: KvWatchIterator = await kv.watch({ key: ["a", "b.>"], include: KvWatchInclude.AllHistory });
  await watch.initialized;
  const keys: QueuedIterator<string> = await kv.keys(">");
  const ro: RoKV = kv.readOnly();
  // @ts-expect-error what is read-only does not write
  ro.put("a", "x");
  const { streamInfo, max_bytes, maxBytes } = await ro.status();
  void [user, keys, streamInfo.state.last_seq, max_bytes, maxBytes, await kv.destroy()];
}

export function errors(error: unknown): string {
  if (isKvsError(error, "conflict")) return `${error.revision} ${error.field}`;
  return error instanceof KvsError ? error.code : "";
}
