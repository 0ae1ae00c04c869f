import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");

/** How many rows each chapter of the table has. */
const CHAPTERS = { A: 20, B: 20, C: 16, D: 12, E: 13, F: 20, G: 12 };

interface Row {
  readonly id: string;
  /** Test files, or why there are none. */
  readonly coverage: string;
  readonly files: readonly string[];
}

const ROWS = readRows();
const TESTED = readTestedRows();

test("the table of faults has every row, once and in order", () => {
  const ids = Object.entries(CHAPTERS).flatMap(([chapter, count]) =>
    Array.from({ length: count }, (_, index) => `${chapter}${index + 1}`),
  );
  expect(ROWS.map(({ id }) => id)).toEqual(ids);
});

test("every file that a row names has a test that names the row", () => {
  const wrong = ROWS.flatMap(({ id, files }) =>
    files
      .filter((file) => TESTED.get(id)?.has(file) !== true)
      .map((file) => `${id} is not in ${file}`),
  );
  expect(wrong).toEqual([]);
});

test("a row that names no test says why", () => {
  const silent = ROWS.filter(
    ({ files, coverage }) => files.length === 0 && !/^later: \S/.test(coverage),
  );
  expect(silent).toEqual([]);
});

test("a row that a test names is not said to come later", () => {
  const stale = ROWS.filter(({ id, files }) => files.length === 0 && TESTED.has(id));
  const missing = stale.map(({ id }) => `${id}: ${[...(TESTED.get(id) ?? [])].join(", ")}`);
  expect(missing).toEqual([]);
});

function readRows(): Row[] {
  const text = readFileSync(join(ROOT, "docs/reliability.md"), "utf8");
  return [...text.matchAll(/^\| ([A-G]\d+) \|.*\| ([^|]*) \|$/gm)].map((match) => {
    const [, id = "", coverage = ""] = match;
    const files = [...coverage.matchAll(/`((?:src|test)\/[^`]*)`/g)].map(([, file = ""]) => file);
    return { id, coverage, files };
  });
}

/** The files whose tests name a row: names begin with the rows' numbers, "A3 A15 a type that …". */
function readTestedRows(): Map<string, Set<string>> {
  const tested = new Map<string, Set<string>>();
  for (const file of new Bun.Glob("{src,test}/**/*.test.ts").scanSync({ cwd: ROOT })) {
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const [, numbers = ""] of text.matchAll(/["`]((?:[A-G][1-9]\d? )+)\S/g)) {
      for (const id of numbers.trim().split(" ")) {
        tested.set(id, (tested.get(id) ?? new Set()).add(file));
      }
    }
  }
  return tested;
}
