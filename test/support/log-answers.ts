import { expect } from "bun:test";
import type { ReadableLog } from "../../src/log/readable-log.ts";
import type { StoredEntry } from "../../src/log/stored-entry.ts";

/** Everything after a place, page by page. */
export function* entriesAfter(log: ReadableLog, after: number): Generator<StoredEntry> {
  for (let seq = after; ;) {
    const page = log.after(seq, 500);
    yield* page;
    const last = page.at(-1);
    if (!last) return;
    seq = last.seq;
  }
}

/** Asks two logs every question there is, and expects the same answers. */
export function expectSameAnswers(
  one: ReadableLog,
  other: ReadableLog,
  names: readonly string[],
): void {
  const isSmall = [one, other].some((log) => log.openBlock().from < log.baseSeq);
  const answers = (log: ReadableLog): unknown => {
    const { headSeq, baseSeq, heldBytes } = log;
    const span = headSeq - baseSeq;
    const seqs = [0, 0.3, 0.7, 1].map((part) => baseSeq + Math.floor(span * part));
    const positions = seqs.map((seq) => log.positionAt(seq));
    const pages = seqs.map((seq) => [log.after(seq, 20), log.before(seq, 20)]);
    const found = log.after(Math.max(baseSeq, headSeq - 5), 5);
    return {
      headSeq,
      baseSeq,
      heldBytes,
      topics: names.map((name) => [log.topic(name), log.floor(name)]),
      positions: positions.map((position) => [...position]),
      places: positions.map((position) => log.seqBefore(position)),
      pages: pages.flat(2).map(plain),
      found: found.map(({ topic, partition, offset }) => log.find(topic, partition, offset)?.seq),
      blocks: [0, 200, 2_000].map((ts) => log.blocksSince(ts, baseSeq, 10)),
      // The writer remembers timestamps of what it has trimmed since the block began; it is all one.
      open: isSmall ? undefined : log.openBlock(),
      since: [0, 200, 2_000].map((ts) => log.firstSince("t", 0, ts, [baseSeq, headSeq])),
      marked: log.marked("d"),
    };
  };
  expect(answers(one)).toEqual(answers(other));
}

/** Buffers and Uint8Arrays alike. */
function plain(entry: StoredEntry): unknown {
  const hex = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString("hex");
  const headers = entry.headers.map(([name, value]) => [name, hex(value)]);
  return { ...entry, key: hex(entry.key), value: hex(entry.value), headers };
}
