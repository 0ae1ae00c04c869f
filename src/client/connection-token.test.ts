import { expect, test } from "bun:test";
import {
  ConnectionBench,
  ENDED,
  refused,
  unsignedToken,
} from "../../test/support/connection-bench.ts";
import { settled } from "../../test/support/manual-clock.ts";
import { tokenSource } from "./token-source.ts";

/** A bench whose tokens live so long; each has a number. */
function renewingBench(lifeSeconds: number): { bench: ConnectionBench; given: () => number } {
  let given = 0;
  const bench: ConnectionBench = new ConnectionBench({
    token: () => unsignedToken({ exp: bench.clock.inSeconds(lifeSeconds), n: ++given }),
  });
  return { bench, given: () => given };
}

test("a token is asked for before each connection, and goes with it", async () => {
  let count = 0;
  const bench = new ConnectionBench({ token: () => ` t${++count}\n` });
  await bench.start();
  await bench.attempt.end(ENDED);
  await bench.clock.pass(5000);
  expect(bench.attempts.map(({ token }) => token)).toEqual(["t1", "t2"]);
  const none = new ConnectionBench({ token: () => undefined });
  await none.start();
  expect(none.attempt.token).toBeUndefined();
});

test("a connection is made anew before its token ends, with the last id and without a word", async () => {
  const { bench } = renewingBench(600);
  await bench.start();
  await bench.attempt.send("1");
  for (let renewal = 1; renewal <= 5; renewal += 1) {
    for (let second = 30; second <= 540; second += 30) {
      expect(bench.attempts).toHaveLength(renewal);
      bench.attempt.onBytes();
      await bench.clock.pass(30_000);
    }
    expect(bench.attempts).toHaveLength(renewal + 1);
    expect(bench.attempts.at(-2)?.signal.aborted).toBe(true);
    expect(bench.attempt.lastEventId).toBe(String(renewal));
    await bench.attempt.send(String(renewal + 1));
  }
  expect(bench.stateNames).toEqual(["connecting", "open"]);
  expect(bench.frames.map(({ id }) => id)).toEqual(["1", "2", "3", "4", "5", "6"]);
});

test("tokens that live for seconds are renewed a tenth before they end; none more often than each 5 s", async () => {
  for (const [lifeSeconds, renewedAfterMs] of [
    [8, 7200],
    [1, 5000],
    [0, 5000],
    [-3600, 5000],
    [-1e300, 5000],
    [700, 640_000],
  ] as const) {
    const { bench, given } = renewingBench(lifeSeconds);
    await bench.start();
    await bench.attempt.send("1");
    for (let left = renewedAfterMs - 1; left > 0; left -= 40_000) {
      bench.attempt.onBytes();
      await bench.clock.pass(Math.min(left, 40_000));
    }
    expect([lifeSeconds, given()]).toEqual([lifeSeconds, 1]);
    await bench.clock.pass(1);
    expect([lifeSeconds, given()]).toEqual([lifeSeconds, 2]);
  }
});

test("a token that does not say when it ends, or says never, is not renewed", async () => {
  for (const payload of [{}, { exp: "soon" }, { exp: null }, null, 5, "no JSON", { exp: 1e306 }]) {
    const token = unsignedToken(payload);
    const bench = new ConnectionBench({ token: () => token });
    await bench.start();
    await bench.attempt.send("1");
    for (let hour = 0; hour < 100; hour += 1) {
      bench.attempt.onBytes();
      await bench.clock.pass(44_000);
    }
    expect(bench.attempts).toHaveLength(1);
    bench.connection.stop();
    await settled();
    expect(bench.clock.waits).toEqual([]);
  }
  const opaque = new ConnectionBench({ token: () => "opaque" });
  await opaque.start();
  expect(opaque.clock.waits).toEqual([45_000]);
});

test("a string is not renewed: there is no other", async () => {
  const { clock } = new ConnectionBench();
  const bench = new ConnectionBench({ token: unsignedToken({ exp: clock.inSeconds(10) }) });
  await bench.start();
  expect(bench.clock.waits).toEqual([45_000]);
  await bench.attempt.send("1", "close", '{"reason":"token-expired","reconnect":false}');
  await bench.attempt.end(ENDED);
  expect(bench.state).toMatchObject({ name: "error", why: { reason: "token-expired" } });
});

test("a server that does not answer is not taken for an open stream, however short tokens live", async () => {
  const { bench } = renewingBench(8);
  await bench.start();
  await bench.attempt.send("1");
  await bench.clock.pass(7200);
  expect(bench.attempts).toHaveLength(2);
  expect(bench.state?.name).toBe("open");
  await bench.clock.pass(45_000);
  expect(bench.state?.name).toBe("reconnecting");
});

test("attempts that are never answered count, however short tokens live", async () => {
  let asked = 0;
  const bench: ConnectionBench = new ConnectionBench({
    maxAttempts: 2,
    token: () => unsignedToken({ exp: bench.clock.inSeconds(8), n: ++asked }),
  });
  await bench.start();
  await bench.clock.pass(600_000);
  expect(bench.state?.name).toBe("error");
  expect(asked).toBe(3);
});

test("an expired token is followed by another one, where there is a function for it", async () => {
  const bench = new ConnectionBench({ token: () => "t" });
  await bench.start();
  await bench.attempt.send("1");
  await bench.attempt.send("1", "close", '{"reason":"token-expired","reconnect":false}');
  await bench.attempt.end(ENDED);
  expect(bench.state).toMatchObject({ name: "reconnecting", why: { reason: "token-expired" } });
});

test("401 is final for a string; a function is asked once more", async () => {
  const fixed = new ConnectionBench({ token: "t" });
  await fixed.start();
  await fixed.attempt.end(refused(401));
  expect(fixed.state).toMatchObject({ name: "error", why: { httpStatus: 401 } });
  const bench = new ConnectionBench({ token: () => "t" });
  await bench.start();
  await bench.attempt.end(refused(401));
  expect(bench.state).toMatchObject({ name: "reconnecting", why: { httpStatus: 401 } });
  await bench.clock.pass(5000);
  // In between the server was away: that says nothing about the token.
  await bench.attempt.end(ENDED);
  await bench.clock.pass(7500);
  await bench.attempt.end(refused(401));
  expect(bench.state).toMatchObject({ name: "error", why: { httpStatus: 401 } });
});

test("a token that was good makes the next refusal the first one again", async () => {
  const bench = new ConnectionBench({ token: () => "t" });
  await bench.start();
  for (let round = 0; round < 3; round += 1) {
    await bench.attempt.end(refused(401));
    expect([round, bench.state?.name]).toEqual([round, "reconnecting"]);
    await bench.clock.pass(7500);
    await bench.attempt.send("1");
    await bench.attempt.end(ENDED);
    await bench.clock.pass(5000);
  }
});

test("a function that gives no token is asked again later, and nothing of a token is told", async () => {
  const secret = unsignedToken({ secret: true });
  const functions: Record<string, () => unknown> = {
    throws: () => {
      throw new Error(`${secret} is no good`);
    },
    rejects: () => Promise.reject(new Error(`${secret} is no good`)),
    "rejects with nothing": () => Promise.reject(),
    "gives nothing": () => "",
    "gives null": () => null,
    "gives a number": () => 5,
    "gives an object": () => ({ token: secret }),
    "gives two lines": () => `${secret}\n${secret}`,
    "gives what no header can carry": () => `${secret}é`,
  };
  for (const [name, token] of Object.entries(functions)) {
    // The cast holds in no way: that is what is tested.
    const bench = new ConnectionBench({ token: token as () => string, maxAttempts: 1 });
    await bench.start();
    expect(bench.state, name).toMatchObject({ name: "reconnecting", why: { reason: "token" } });
    await bench.clock.pass(5000);
    expect(bench.state, name).toMatchObject({ name: "error", why: { reason: "token" } });
    expect(bench.attempts).toHaveLength(0);
    expect(JSON.stringify(bench.states)).not.toInclude(secret.slice(4, 20));
  }
});

test("a function that never gives one is left, and asked again; what it gives late is not used", async () => {
  const given: ((token: string) => void)[] = [];
  const bench = new ConnectionBench({ token: () => new Promise((resolve) => given.push(resolve)) });
  await bench.start();
  await bench.clock.pass(45_000);
  expect(bench.state).toMatchObject({ name: "reconnecting", why: { reason: "token" } });
  await bench.clock.pass(5000);
  expect(given).toHaveLength(2);
  given[0]?.("late");
  await settled();
  expect(bench.attempts).toHaveLength(0);
  given[1]?.("t2");
  await settled();
  expect(bench.attempts.map(({ token }) => token)).toEqual(["t2"]);
});

test("a stop while a token is awaited, and a start, make one connection", async () => {
  const given: ((token: string) => void)[] = [];
  const bench = new ConnectionBench({ token: () => new Promise((resolve) => given.push(resolve)) });
  await bench.start();
  bench.connection.stop();
  await settled();
  expect(bench.clock.waits).toEqual([]);
  await bench.start();
  bench.connection.retryNow();
  for (const give of given) give("t");
  await settled();
  expect(bench.attempts).toHaveLength(1);
  expect(bench.stateNames).toEqual(["connecting", "connecting"]);
});

test("a string that no header can carry is refused at once, and not repeated", () => {
  for (const token of ["", "  ", "a b", "é", "a\nb"]) {
    expect(() => tokenSource(token)).toThrow("The token is empty, or has characters");
  }
});
