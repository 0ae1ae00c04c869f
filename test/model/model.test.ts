import { expect, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import { Client, Instance, type Truth } from "./world.ts";
import { runs } from "../support/effort.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

type Action =
  | { kind: "produce" | "lose"; topic: number; partition: number; count: number }
  | { kind: "feed"; instance: number; topic: number; partition: number; count: number }
  | { kind: "notice" | "restart"; instance: number }
  | { kind: "trim"; instance: number; count: number }
  | { kind: "recreate" | "grow"; topic: number }
  | { kind: "connect"; client: number; instance: number }
  | { kind: "disconnect" | "pushBack" | "drain"; client: number }
  | { kind: "cut"; client: number; bytes: number }
  | { kind: "turns"; count: number };

const TOPICS = ["alpha", "beta"];
const instance = fc.nat(2);
const client = fc.nat(3);
const topic = fc.nat(1);
const partition = fc.nat(3);
const count = fc.integer({ min: 1, max: 40 });

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("produce"), topic, partition, count }) },
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant("feed"), instance, topic, partition, count }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("notice", "restart"), instance }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("trim"), instance, count }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose"), topic, partition, count }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("recreate", "grow"), topic }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("connect"), client, instance }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("disconnect", "pushBack", "drain"), client }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cut"), client, bytes: fc.nat(3000) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("turns"), count: fc.nat(6) }) },
) as fc.Arbitrary<Action>;

/** How many times `bun test` runs the model; MODEL_RUNS makes it more. */
const RUNS = Number(Bun.env["MODEL_RUNS"] ?? runs(150));

test("B7 B9 B10 F5 F6 F7 F19 F20 a client gets each matching event once and in order, or is told truly that it cannot, over any instances", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 120 }), async (actions) => {
      using directory = temporaryDirectory();
      const truth: Truth = {
        topics: new Map(TOPICS.map((name) => [name, freshTopic(`${name[0]}0`)])),
      };
      const instances = [0, 1, 2].map((n) => new Instance(truth, join(directory.path, `${n}.db`)));
      const clients = [
        new Client(TOPICS, true),
        new Client(TOPICS, false),
        new Client(["alpha"], true),
        new Client(["beta"], false),
      ];
      try {
        for (const step of actions) {
          await perform(step, { truth, instances, clients });
          for (const { failure } of clients) if (failure) throw failure;
        }
        await settle({ truth, instances, clients });
      } finally {
        for (const one of instances) one[Symbol.dispose]();
      }
    }),
    { numRuns: RUNS },
  );
}, 600_000);

interface World {
  readonly truth: Truth;
  readonly instances: readonly Instance[];
  readonly clients: readonly Client[];
}

let incarnations = 0;

function freshTopic(tag: string): { tag: string; ends: number[]; starts: number[] } {
  return { tag, ends: [0, 0], starts: [0, 0] };
}

async function perform(step: Action, { truth, instances, clients }: World): Promise<void> {
  const topicOf = "topic" in step ? truth.topics.get(TOPICS[step.topic] ?? "") : undefined;
  const name = "topic" in step ? (TOPICS[step.topic] ?? "") : "";
  const one = "instance" in step ? instances[step.instance] : undefined;
  const who = "client" in step ? clients[step.client] : undefined;
  switch (step.kind) {
    case "produce":
      if (topicOf?.ends[step.partition] !== undefined) {
        topicOf.ends[step.partition] = (topicOf.ends[step.partition] ?? 0) + step.count;
      }
      break;
    case "lose":
      if (topicOf?.ends[step.partition] !== undefined) {
        const start = (topicOf.starts[step.partition] ?? 0) + step.count;
        topicOf.starts[step.partition] = Math.min(start, topicOf.ends[step.partition] ?? 0);
      }
      break;
    case "feed":
      one?.feed(name, step.partition, step.count);
      break;
    case "notice":
      one?.noticeTopics();
      break;
    case "restart":
      one?.restart();
      break;
    case "trim":
      one?.log.trim({ arrivedBeforeMs: Number.MAX_SAFE_INTEGER, maxBytes: 0 }, step.count);
      break;
    case "recreate":
      incarnations += 1;
      truth.topics.set(name, freshTopic(`${name[0]}${incarnations}`));
      break;
    case "grow":
      if (topicOf && topicOf.ends.length < 4) {
        topicOf.ends.push(0);
        topicOf.starts.push(0);
      }
      break;
    case "connect":
      if (one) who?.connect(one);
      break;
    case "disconnect":
      who?.disconnect();
      break;
    case "pushBack":
      who?.pushBack(true);
      break;
    case "drain":
      who?.pushBack(false);
      break;
    case "cut":
      who?.cutAfter(step.bytes);
      break;
    case "turns":
      await turns(step.count);
      break;
    default:
  }
}

/** Everybody comes back and everything arrives: then nothing may be missing. */
async function settle({ truth, instances, clients }: World): Promise<void> {
  for (const one of instances) one.catchUp();
  for (const [i, one] of clients.entries()) {
    const home = instances[i % instances.length];
    if (home) one.connect(home);
  }
  const deadline = performance.now() + 5000;
  while (performance.now() < deadline) {
    await turns(5);
    for (const { failure } of clients) if (failure) throw failure;
    if (clients.every((one) => one.isLive && one.hasAll(truth))) break;
  }
  for (const one of clients) {
    expect(one.isLive).toBe(true);
    expect(one.hasAll(truth)).toBe(true);
  }
}

async function turns(n: number): Promise<void> {
  for (let i = 0; i < n; i += 1) await new Promise(setImmediate);
}
