import { expect, test } from "bun:test";
import fc from "fast-check";
import { unsignedToken } from "../../test/support/connection-bench.ts";
import { runs } from "../../test/support/effort.ts";
import { ManualClock, settled } from "../../test/support/manual-clock.ts";
import { type Answer, ModelServer, seen } from "../../test/support/model-server.ts";
import { connectionSource } from "./connect.ts";
import { openStream } from "./event-stream.ts";

const records = fc.array(
  fc.record({
    type: fc.constantFrom("message", "order.paid", "binary", "delete", "toString"),
    data: fc
      .array(fc.string({ unit: "grapheme", maxLength: 12 }), { maxLength: 3 })
      .map((lines) => lines.join("\n").replaceAll(/[\r\0]/g, "")),
    isFiltered: fc.boolean(),
  }),
  { minLength: 1, maxLength: 25 },
);

const answer: fc.Arbitrary<Answer> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("stream" as const),
      bytes: fc.nat({ max: 900 }),
      pieces: fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 }),
      finish: fc.constantFrom("break", "end", "hang"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("status" as const),
      status: fc.constantFrom(429, 502, 503),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "unreachable" as const }) },
);

const setup = fc.record({
  records,
  answers: fc.array(answer, { maxLength: 12 }),
  lineEnd: fc.constantFrom("\n", "\r\n", "\r"),
  maxBuffered: fc.integer({ min: 0, max: 5 }),
  /** Of a token function's tokens; none where it is 0. */
  tokenSeconds: fc.constantFrom(0, 0, 1, 30),
  /** How long each event is dealt with: seconds of the clock. */
  pauses: fc.array(fc.constantFrom(0, 0, 0, 1, 50), { minLength: 1, maxLength: 5 }),
  /** What the user does between seconds. */
  whims: fc.array(fc.constantFrom("nothing", "nothing", "retry", "reopen"), { maxLength: 40 }),
});

test("however a stream is cut, refused, renewed and slowed down, each event comes once and in order", async () => {
  await fc.assert(
    fc.asyncProperty(setup, async (given) => {
      const { maxBuffered, tokenSeconds, pauses, whims } = given;
      const server = new ModelServer(given);
      const clock = new ManualClock();
      const got: string[] = [];
      const token = (): string => unsignedToken({ exp: clock.inSeconds(tokenSeconds) });
      const open = (lastEventId?: string): ReturnType<typeof openStream> => {
        const options = {
          url: "http://localhost",
          lastEventId,
          maxBuffered,
          fetch: server.fetch,
          ...(tokenSeconds > 0 && { token }),
          onReset: (): never => {
            throw new Error("No reset was sent");
          },
          onEvent: async ({ type, text, id }: { type: string; text: string; id: string }) => {
            got.push(seen(type, text, id));
            const seconds = pauses[got.length % pauses.length] ?? 0;
            if (seconds > 0) {
              await new Promise<void>((resolve) => void clock.after(seconds * 1000, resolve));
            }
          },
        };
        return openStream(options, connectionSource(options), clock);
      };
      let stream = open();
      const { visible } = server;
      for (let second = 0; second < 20_000; second += 1) {
        // A whole stream that is quiet has nothing more to say.
        if (got.length >= visible.length && stream.lastEventId === lastPosition(given.records))
          break;
        await clock.pass(1000);
        const whim = whims[second];
        if (whim === "retry") stream.retryNow();
        if (whim === "reopen") {
          // Another stream goes on where this one was, once what it dealt with is done.
          stream.close();
          await clock.pass(60_000);
          stream = open(stream.lastEventId);
        }
      }
      stream.close();
      await settled();
      expect(got).toEqual([...visible]);
      expect(stream.lastEventId).toBe(lastPosition(given.records));
    }),
    { numRuns: runs(400) },
  );
}, 60_000);

function lastPosition(all: readonly unknown[]): string {
  return `p${all.length}`;
}
