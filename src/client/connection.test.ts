import { expect, test } from "bun:test";
import { ConnectionBench, ENDED, refused } from "../../test/support/connection-bench.ts";
import { settled } from "../../test/support/manual-clock.ts";

const close = (reason: string, reconnect?: boolean): string =>
  JSON.stringify({ reason, reconnect });

/** How long it waits after each of so many attempts that bring nothing. */
async function waitsOf(bench: ConnectionBench, attempts: number): Promise<number[]> {
  const waits: number[] = [];
  await bench.start();
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    await bench.attempt.break(new Error("refused"));
    const { state } = bench;
    if (state?.name !== "reconnecting") throw new Error(`It is ${String(state?.name)}`);
    expect(state.attempt).toBe(attempt);
    waits.push(state.delayMs);
    await bench.clock.pass(state.delayMs - 1);
    expect(bench.attempts).toHaveLength(attempt);
    await bench.clock.pass(1);
    expect(bench.attempts).toHaveLength(attempt + 1);
  }
  return waits;
}

test("the waits grow from 5 s by 1.5 to 30 s, jittered down to their half", async () => {
  const full = await waitsOf(new ConnectionBench(), 7);
  expect(full).toEqual([5000, 7500, 11_250, 16_875, 25_312.5, 30_000, 30_000]);
  const bench = new ConnectionBench();
  bench.clock.chance = 0;
  expect(await waitsOf(bench, 7)).toEqual(full.map((ms) => ms / 2));
});

test("it waits no shorter than the server asks, nor longer than five minutes", async () => {
  const bench = new ConnectionBench();
  await bench.start();
  bench.attempt.onRetry(12_000);
  await bench.attempt.send("1");
  await bench.attempt.end(ENDED);
  expect(bench.state).toMatchObject({ delayMs: 12_000, attempt: 1 });
  await bench.clock.pass(12_000);
  // Once, for this answer: what the server asks for in general holds again afterwards.
  await bench.attempt.end({ ...ENDED, retryMs: 20_000 });
  expect(bench.state).toMatchObject({ delayMs: 20_000, attempt: 2 });
  await bench.clock.pass(20_000);
  await bench.attempt.end(ENDED);
  expect(bench.state).toMatchObject({ delayMs: 12_000, attempt: 3 });
  await bench.clock.pass(12_000);
  await bench.attempt.end({ ...ENDED, retryMs: 1e300 });
  expect(bench.state).toMatchObject({ delayMs: 300_000 });
});

test("as many attempts in a row may fail as it was told, and not one more", async () => {
  for (const maxAttempts of [0, 1, 3]) {
    const bench = new ConnectionBench({ maxAttempts });
    await bench.start();
    for (let failed = 0; failed < maxAttempts; failed += 1) {
      await bench.attempt.end(ENDED);
      await bench.clock.pass(30_000);
    }
    expect(bench.attempts).toHaveLength(maxAttempts + 1);
    await bench.attempt.end(ENDED);
    expect(bench.state).toMatchObject({ name: "error", why: { reason: "ended" } });
    bench.connection.retryNow();
    await bench.clock.pass(1e9);
    expect(bench.attempts).toHaveLength(maxAttempts + 1);
  }
});

test("a stream that was open makes the count begin anew, one that was only answered does not", async () => {
  const bench = new ConnectionBench({ maxAttempts: 2 });
  await bench.start();
  for (let round = 0; round < 4; round += 1) {
    await bench.attempt.send(`${round}`);
    await bench.attempt.end(ENDED);
    expect(bench.state).toMatchObject({ name: "reconnecting", attempt: 1, delayMs: 5000 });
    await bench.clock.pass(5000);
  }
  await bench.attempt.send("3", "close", close("overloaded", true));
  await bench.attempt.end(ENDED);
  expect(bench.state).toMatchObject({ attempt: 2, why: { reason: "overloaded" } });
  await bench.clock.pass(7500);
  bench.attempt.onBytes();
  await bench.attempt.end(ENDED);
  expect(bench.state?.name).toBe("error");
});

test("what the server says as it closes becomes the reason, and no frame", async () => {
  for (const reason of ["shutdown", "max-age", "overloaded", "too-many-connections", "of-2031"]) {
    const bench = new ConnectionBench();
    await bench.start();
    await bench.attempt.send("7");
    await bench.attempt.send("8", "close", close(reason, true));
    expect(bench.state?.name).toBe("open");
    await bench.attempt.break(new Error("reset by peer"));
    expect(bench.state).toMatchObject({ name: "reconnecting", why: { reason } });
    expect(bench.frames.map(({ type }) => type)).toEqual(["message"]);
    expect(bench.connection.lastEventId).toBe("8");
    // It was said of that connection only.
    await bench.clock.pass(5000);
    await bench.attempt.end(ENDED);
    expect(bench.state).toMatchObject({ why: { reason: "ended" } });
  }
});

test("a close that forbids to come back ends it", async () => {
  const bench = new ConnectionBench({ token: () => "to-ken" });
  await bench.start();
  await bench.attempt.send("1", "close", close("banned", false));
  await bench.attempt.end(ENDED);
  expect(bench.state).toMatchObject({ name: "error", why: { reason: "banned" } });
});

test("a close that says nothing that can be read is an end like any other", async () => {
  for (const data of ["", "{", "null", "5", "[]", '"x"']) {
    const bench = new ConnectionBench();
    await bench.start();
    await bench.attempt.send("1", "close", data);
    await bench.attempt.end(ENDED);
    expect(bench.state).toMatchObject({ name: "reconnecting", why: { reason: "ended" } });
  }
});

test("what the transport calls refused is final", async () => {
  const bench = new ConnectionBench();
  await bench.start();
  await bench.attempt.end(refused(404));
  expect(bench.state).toEqual({ name: "error", why: refused(404).why });
  await bench.clock.pass(1e9);
  expect(bench.attempts).toHaveLength(1);
});

test("it comes back with the last id that came, and without one where the server took it away", async () => {
  const bench = new ConnectionBench();
  await bench.start("p0");
  expect(bench.attempt.lastEventId).toBe("p0");
  await bench.attempt.send("p1");
  await bench.attempt.send("p2", "heartbeat");
  await bench.attempt.end(ENDED);
  await bench.clock.pass(5000);
  expect(bench.attempt.lastEventId).toBe("p2");
  await bench.attempt.send("");
  await bench.attempt.end(ENDED);
  await bench.clock.pass(5000);
  expect(bench.attempt.lastEventId).toBeUndefined();
});

test("a server that falls silent is left, and its silence is borne for twice as long the next time", async () => {
  const bench = new ConnectionBench();
  await bench.start();
  await bench.attempt.send("1");
  await bench.clock.pass(44_000);
  bench.attempt.onBytes();
  await bench.clock.pass(44_999);
  expect(bench.state?.name).toBe("open");
  for (const quietMs of [1, 90_000, 180_000, 360_000, 720_000, 960_000, 960_000]) {
    await bench.clock.pass(quietMs - 1);
    expect(bench.state?.name).toBe("open");
    await bench.clock.pass(1);
    expect(bench.state).toMatchObject({ name: "reconnecting", why: { reason: "silent" } });
    expect(bench.attempt.signal.aborted).toBe(true);
    await bench.clock.pass(5000);
    await bench.attempt.send("2");
  }
});

test("silence is borne no longer than at first once something else has ended a stream", async () => {
  const bench = new ConnectionBench();
  await bench.start();
  await bench.clock.pass(45_000 + 5000);
  expect(bench.attempts).toHaveLength(2);
  await bench.attempt.send("1");
  await bench.attempt.end(ENDED);
  await bench.clock.pass(5000);
  await bench.attempt.send("1");
  await bench.clock.pass(45_000);
  expect(bench.state).toMatchObject({ why: { reason: "silent" } });
});

test("while the gate is closed nothing is read, and silence says nothing", async () => {
  const bench = new ConnectionBench();
  await bench.start();
  await bench.attempt.send("1");
  bench.gate.close();
  await bench.clock.pass(3_600_000);
  expect(bench.state?.name).toBe("open");
  bench.gate.open();
  await bench.clock.pass(45_000);
  expect(bench.state).toMatchObject({ why: { reason: "silent" } });
});

test("nothing is opened while the gate is closed", async () => {
  const bench = new ConnectionBench();
  bench.gate.close();
  await bench.start();
  await bench.clock.pass(100_000);
  expect(bench.attempts).toHaveLength(0);
  bench.gate.open();
  await settled();
  expect(bench.attempts).toHaveLength(1);
  bench.gate.close();
  await bench.attempt.end({ kind: "again" });
  bench.connection.stop();
  bench.gate.open();
  await settled();
  expect(bench.attempts).toHaveLength(1);
});

test("nothing of a connection that was left is told: no frame, no end, no silence", async () => {
  const bench = new ConnectionBench();
  await bench.start();
  const { attempt: left } = bench;
  await left.send("1");
  await bench.start();
  await left.send("2");
  await left.send("2", "close", close("banned", false));
  await left.break(new Error("late"));
  expect(bench.frames.map(({ id }) => id)).toEqual(["1"]);
  expect(bench.attempt.lastEventId).toBe("1");
  expect(bench.stateNames).toEqual(["connecting", "open", "connecting"]);
  await bench.attempt.send("2");
  await bench.clock.pass(44_000);
  left.onBytes();
  await bench.clock.pass(1000);
  expect(bench.state).toMatchObject({ why: { reason: "silent" } });
  bench.connection.stop();
  await settled();
  left.onBytes();
  expect(bench.clock.waits).toEqual([]);
});

test("who is stopped says nothing more and leaves no timer, at whatever moment", async () => {
  const moments: Record<string, (bench: ConnectionBench) => Promise<void>> = {
    "before it began": () => settled(),
    "as it begins": async (bench) => bench.connection.start(),
    "while it connects": (bench) => bench.start(),
    "while it is open": async (bench) => {
      await bench.start();
      await bench.attempt.send("1");
    },
    "while it waits": async (bench) => {
      await bench.start();
      await bench.attempt.end(ENDED);
    },
    "when it has given up": async (bench) => {
      await bench.start();
      await bench.attempt.end(refused(404));
    },
    "as it is told that it waits": async (bench) => {
      bench.onState = ({ name }) => {
        if (name === "reconnecting") bench.connection.stop();
      };
      await bench.start();
      await bench.attempt.end(ENDED);
    },
    "as it is told that it is open": async (bench) => {
      bench.onState = ({ name }) => {
        if (name === "open") bench.connection.stop();
      };
      await bench.start();
      await bench.attempt.send("1");
    },
  };
  for (const [moment, reach] of Object.entries(moments)) {
    const bench = new ConnectionBench();
    await reach(bench);
    bench.connection.stop();
    await settled();
    const before = [...bench.states];
    const attempts = bench.attempts.length;
    expect({ moment, waits: bench.clock.waits }).toEqual({ moment, waits: [] });
    bench.connection.retryNow();
    await bench.clock.pass(1e7);
    expect({ moment, states: bench.states }).toEqual({ moment, states: before });
    // It can begin again, once.
    bench.onState = () => undefined;
    await bench.start();
    expect(bench.states.slice(before.length)).toEqual([{ name: "connecting" }]);
    expect(bench.attempts.length - attempts).toBe(1);
    await bench.attempt.send("2");
    expect(bench.state).toEqual({ name: "open" });
  }
});

test("who begins anew as it is told that it is open is told so again", async () => {
  const bench = new ConnectionBench();
  bench.onState = ({ name }) => {
    if (name === "open" && bench.attempts.length === 1) bench.connection.start();
  };
  await bench.start();
  await bench.attempt.send("1");
  await bench.attempt.send("2");
  expect(bench.stateNames).toEqual(["connecting", "open", "connecting", "open"]);
});

test("a wait ends at once where that is asked for, also as it is told of", async () => {
  const bench = new ConnectionBench();
  bench.connection.retryNow();
  await bench.start();
  bench.connection.retryNow();
  await settled();
  expect(bench.attempts).toHaveLength(1);
  await bench.attempt.end(ENDED);
  bench.connection.retryNow();
  bench.connection.retryNow();
  await settled();
  expect(bench.attempts).toHaveLength(2);
  bench.onState = ({ name }) => {
    if (name === "reconnecting") bench.connection.retryNow();
  };
  await bench.attempt.end(ENDED);
  expect(bench.attempts).toHaveLength(3);
  // The waits that were cut short do not end once more.
  bench.onState = () => undefined;
  await bench.clock.pass(44_000);
  expect(bench.attempts).toHaveLength(3);
});
