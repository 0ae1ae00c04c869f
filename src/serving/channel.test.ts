import { expect, test } from "bun:test";
import { refusal } from "../../test/support/tokens.ts";
import { HeadgateError } from "../errors.ts";
import { Channel, type Message, type Offers } from "./channel.ts";

interface Sums {
  add(numbers: readonly number[]): Promise<number>;
  fail(how: "refused" | "broken" | "later"): Promise<never>;
  never(nothing: undefined): Promise<void>;
  note(text: string): void;
}

/** Two ends of which each message to the other is a copy, as between processes. */
function connect(offers: Offers): {
  readonly here: Channel<Sums>;
  readonly there: Channel<{ greet(name: string): string }>;
  readonly sent: Message[];
} {
  const sent: Message[] = [];
  const here: Channel<Sums> = new Channel<Sums>(
    (message) => {
      sent.push(message);
      there.receive(structuredClone(message));
    },
    { greet: (name: string) => `hello ${name}` },
  );
  const there = new Channel<{ greet(name: string): string }>(
    (message) => here.receive(structuredClone(message)),
    offers,
  );
  return { here, there, sent };
}

const noted: string[] = [];

const SUMS: Offers = {
  add: (numbers: readonly number[]) => Promise.resolve(numbers.reduce((sum, one) => sum + one, 0)),
  fail: (how: string) => {
    if (how === "broken") throw new TypeError("out of order");
    const error = new HeadgateError("publish-timeout", "Kafka did not acknowledge", {
      mayBeStored: true,
      retryAfterS: 7,
      cause: new Error("socket hang up"),
    });
    if (how === "later") return Promise.reject(error);
    throw error;
  },
  never: () => Promise.withResolvers<void>().promise,
  note: (text: string) => noted.push(text),
};

test("a call resolves with what the other side answers, in both directions", async () => {
  const { here, there } = connect(SUMS);
  expect(await here.call("add", [1, 2, 3])).toBe(6);
  expect(await there.call("greet", "you")).toBe("hello you");
});

test("calls that wait at the same time each get their own answer, in whatever order they come", async () => {
  const waiting: (() => void)[] = [];
  const { here } = connect({
    add: async ([number]: readonly number[]) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await promise;
      return number;
    },
  });
  const answers = Promise.all([1, 2, 3].map((number) => here.call("add", [number])));
  for (const answer of waiting.toReversed()) answer();
  expect(await answers).toEqual([1, 2, 3]);
});

test("a refusal keeps its code, its message and its details; of its cause the text is left", async () => {
  const { here } = connect(SUMS);
  for (const how of ["refused", "later"] as const) {
    const error = await refusal(() => here.call("fail", how));
    expect(error).toBeInstanceOf(HeadgateError);
    expect(error.message).toBe("Kafka did not acknowledge");
    expect(error.code).toBe("publish-timeout");
    expect(error.details).toEqual({
      mayBeStored: true,
      retryAfterS: 7,
      cause: "Error: socket hang up",
    });
  }
});

test("any other error arrives as one, with its text", async () => {
  const { here } = connect(SUMS);
  const failed: unknown = await here.call("fail", "broken").catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(Error);
  expect(failed).not.toBeInstanceOf(HeadgateError);
  expect(failed).toHaveProperty("message", "TypeError: out of order");
});

test("a method that is not offered is the error of who asks for it, and the channel goes on", async () => {
  const { here } = connect({ add: SUMS["add"] ?? (() => 0) });
  const failed: unknown = await here.call("fail", "broken").catch((error: unknown) => error);
  expect(failed).toHaveProperty(
    "message",
    "Error: The other process asked for fail, which is not offered",
  );
  expect(await here.call("add", [4])).toBe(4);
});

test("what is told is done in the order in which it was told, and not answered", async () => {
  const { here, sent } = connect(SUMS);
  noted.length = 0;
  for (const text of ["a", "b", "c"]) here.tell("note", text);
  expect(noted).toEqual(["a", "b", "c"]);
  expect(sent.map(({ kind }) => kind)).toEqual(["tell", "tell", "tell"]);
});

test("what waits when the channel closes is rejected, as what may be stored; so is what is asked afterwards, and nothing is sent", async () => {
  const { here, sent } = connect(SUMS);
  const waiting = [here.call("never", undefined), here.call("never", undefined)];
  here.close();
  const count = sent.length;
  for (const call of [...waiting, here.call("add", [1])]) {
    const { code, details } = await refusal(() => call);
    expect(code).toBe("not-ready");
    expect(details).toEqual({ mayBeStored: true });
  }
  here.tell("note", "late");
  expect(sent).toHaveLength(count);
});

test("an answer that is ready after the channel has closed is not sent", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const sent: Message[] = [];
  const channel = new Channel<Sums>((message) => sent.push(message), { add: () => promise });
  channel.receive({ kind: "call", id: 1, name: "add", argument: [] });
  channel.close();
  resolve(1);
  await promise;
  await Bun.sleep(0);
  expect(sent).toEqual([]);
});

test("what was on its way when the channel closed is not done: nobody would undo it", () => {
  const { here, there } = connect(SUMS);
  noted.length = 0;
  there.close();
  here.tell("note", "late");
  expect(noted).toEqual([]);
});

test("an answer that nobody waits for is passed over", async () => {
  const { here } = connect(SUMS);
  here.receive({ kind: "result", id: 99, value: 1 });
  here.receive({ kind: "error", id: 99, error: { code: undefined, message: "x", details: {} } });
  expect(await here.call("add", [5])).toBe(5);
});
