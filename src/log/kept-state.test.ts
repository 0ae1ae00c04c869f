import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { HeadgateError } from "../errors.ts";
import { openDatabase } from "./database.ts";
import { EventLog } from "./event-log.ts";
import { KeptState } from "./kept-state.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";

test("what is kept is there again after a restart, and what was removed is not", () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "log.db");
  {
    using log = new EventLog({ path, durable: true });
    log.kept.write([
      ["a", "1"],
      ["b", "2"],
      ["c", "3"],
    ]);
    log.kept.write([
      ["a", "ä"],
      ["b", undefined],
      ["never there", undefined],
    ]);
  }
  using log = new EventLog({ path, durable: true });
  expect(new Map(log.kept.all())).toEqual(
    new Map([
      ["a", "ä"],
      ["c", "3"],
    ]),
  );
});

test("of a write that fails in the middle nothing is kept, and the next one goes through", () => {
  using log = new EventLog({ path: ":memory:", durable: false });
  log.kept.write([["a", "1"]]);
  const failing = function* (): Generator<readonly [string, string]> {
    yield ["a", "2"];
    throw new Error("no more");
  };
  expect(() => log.kept.write(failing())).toThrow(HeadgateError);
  expect(log.kept.all()).toEqual([["a", "1"]]);
  log.kept.write([["a", "3"]]);
  expect(log.kept.all()).toEqual([["a", "3"]]);
});

test("a durable log syncs its appends again after each write, failed ones too", () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "log.db");
  using db = openDatabase({ path, durable: true });
  const kept = new KeptState(db, { path, durable: true });
  const synchronous = (): unknown => db.query("PRAGMA synchronous").get();
  const during: unknown[] = [];
  const watched = function* (): Generator<readonly [string, string]> {
    during.push(synchronous());
    yield ["a", "1"];
  };
  const full = { synchronous: 2 };
  kept.write(watched());
  expect([...during, synchronous()]).toEqual([{ synchronous: 1 }, full]);
  db.run("DROP TABLE kept");
  expect(() => kept.write([["a", "2"]])).toThrow("cannot be written");
  expect(synchronous()).toEqual(full);
});

test("a log of the version before gets the table, and keeps its entries", () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "log.db");
  {
    using log = new EventLog({ path, durable: true });
    log.append([{ kind: "topic", topic: "t", tag: "a", offsets: [0] }]);
  }
  const old = new Database(path);
  // The first log's checkpointer may still be ending in its thread.
  old.run("PRAGMA busy_timeout = 2000");
  old.run("DROP TABLE kept");
  old.run("PRAGMA user_version = 2");
  old.close();
  using log = new EventLog({ path, durable: true });
  log.kept.write([["a", "1"]]);
  expect(log.kept.all()).toEqual([["a", "1"]]);
  expect(log.headSeq).toBe(1);
});
