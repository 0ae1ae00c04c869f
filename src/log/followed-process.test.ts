import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../test/support/feed.ts";
import { entriesAfter, expectSameAnswers } from "../../test/support/log-answers.ts";
import { EventLog } from "./event-log.ts";
import { FollowedLog } from "./followed-log.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";

test("a followed log reads each entry once and in order from a process that is killed and started again", async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "log.db");
  let writer = await startWriter(path);
  using followed = new FollowedLog({ path });
  let last = followed.headSeq;
  let offset = followed.topic("t")?.offsets[0] ?? 0;
  let jumps = 0;
  followed.events.on("appended", () => {
    if (last < followed.baseSeq) {
      jumps += 1;
      last = followed.baseSeq;
      offset = followed.positionAt(last).get("t")?.offsets[0] ?? 0;
    }
    for (const entry of entriesAfter(followed, last)) {
      if (entry.seq !== last + 1) throw new Error(`${entry.seq} came after ${last}`);
      if (entry.kind === "record" && entry.offset !== offset) throw new Error("Not in order");
      last = entry.seq;
      offset = entry.offset + 1;
    }
  });
  let longestWal = 0;
  const follow = setInterval(() => {
    catchUp(followed);
    longestWal = Math.max(longestWal, statSync(`${path}-wal`).size);
  }, 5);
  try {
    for (let kill = 0; kill < 4; kill += 1) {
      const goal = offset + 700 + 70 * kill;
      await until(() => offset > goal);
      writer.kill("SIGKILL");
      await writer.exited;
      writer = await startWriter(path);
    }
    const goal = offset + 10_000;
    await until(() => offset > goal);
  } finally {
    clearInterval(follow);
    writer.kill("SIGKILL");
    await writer.exited;
  }
  catchUp(followed);
  expect(last).toBe(followed.headSeq);
  expect(jumps).toBe(0);
  expect(followed.baseSeq).toBeGreaterThan(0);
  // Without a checkpoint beside the reader it would be thirty megabytes.
  expect(longestWal).toBeLessThan(25e6);
  using log = new EventLog({ path, durable: false });
  expectSameAnswers(followed, log, ["t"]);
}, 60_000);

async function startWriter(path: string) {
  const script = new URL("../../test/support/log-writer.ts", import.meta.url).pathname;
  const writer = Bun.spawn([process.execPath, script, path, String(4 << 20)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  await writer.stdout.getReader().read();
  return writer;
}

function catchUp(followed: FollowedLog): void {
  while (followed.refresh());
}
