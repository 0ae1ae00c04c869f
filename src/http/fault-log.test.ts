import { expect, test } from "bun:test";
import pino from "pino";
import { FaultLog } from "./fault-log.ts";

test("of faults of one kind one a second is logged, and the next one tells of the others", () => {
  const lines: string[] = [];
  const logger = pino({ base: null, timestamp: false }, { write: (line) => lines.push(line) });
  let nowMs = 0;
  const faults = new FaultLog(logger, () => nowMs);
  for (let i = 0; i < 500; i += 1) faults.report("publish-timeout", undefined);
  faults.report("internal", new Error("boom"));
  nowMs = 1000;
  faults.report("publish-timeout", undefined);
  const logged = lines.map((line) => JSON.parse(line) as { code: string; unlogged: number });
  expect(logged.map(({ code, unlogged }) => [code, unlogged])).toEqual([
    ["publish-timeout", 0],
    ["internal", 0],
    ["publish-timeout", 499],
  ]);
});
