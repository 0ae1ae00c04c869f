import type { LogEntry } from "../log/entry.ts";
import type { StoredEntry } from "../log/stored-entry.ts";

/** A partition as the log has it and as Kafka has it now. */
export interface TwoViews {
  /** The offset that was to be read next. */
  readonly position: number;
  /** Kafka's first offset, and the one it gives next. */
  readonly start: number;
  readonly end: number;
  stored(offset: number): StoredEntry | undefined;
  /** What Kafka has at exactly this offset. Rejects where it did not answer. */
  fetched(offset: number): Promise<LogEntry | undefined>;
}

/** How far below the position a record to compare is looked for: markers and holes lie between. */
const LOOK_BACK = 16;

/**
 * Where reading goes on: the position, where Kafka still has what was read up to there. Beyond it,
 * where Kafka has dropped what came next. Below it, where Kafka has lost what was read, as after
 * an unclean leader election: then the first offset that is not the same any more, found in
 * O(log n) comparisons; in doubt an earlier one, so that nothing is missed.
 */
export async function whereToReadOn(views: TwoViews): Promise<number> {
  const { position, start, end } = views;
  if (start >= position) return start;
  const top = Math.min(position, end);
  for (let offset = top - 1; offset >= Math.max(start, top - LOOK_BACK); offset -= 1) {
    const same = await isSame(views, offset);
    if (same === true) return top;
    if (same === false) return await firstDifference(views, offset);
  }
  return top;
}

async function firstDifference(views: TwoViews, known: number): Promise<number> {
  let different = known;
  let step = 1;
  while (different - step >= views.start && (await isSame(views, different - step)) !== true) {
    different -= step;
    step *= 2;
  }
  let same = Math.max(views.start - 1, different - step);
  while (different - same > 1) {
    const middle = same + Math.floor((different - same) / 2);
    if ((await isSame(views, middle)) === true) same = middle;
    else different = middle;
  }
  return different;
}

/** undefined where one of the two has nothing there to compare. */
async function isSame(views: TwoViews, offset: number): Promise<boolean | undefined> {
  const stored = views.stored(offset);
  if (stored === undefined) return undefined;
  const fetched = await views.fetched(offset);
  if (fetched === undefined || (fetched.kind !== "record" && fetched.kind !== "skipped")) {
    return undefined;
  }
  const isEqual =
    stored.timestampMs === fetched.timestampMs &&
    isEqualBytes(stored.key, fetched.key) &&
    stored.headers.length === fetched.headers.length;
  // A lower SSE_MAX_EVENT_BYTES than at the last start makes of a record a skipped one.
  return isEqual && (fetched.kind === "skipped" || isEqualValue(stored, fetched.value));
}

function isEqualValue(stored: StoredEntry, value: Uint8Array | null): boolean {
  return stored.kind === "skipped" || isEqualBytes(stored.value, value);
}

function isEqualBytes(one: Uint8Array | null, other: Uint8Array | null): boolean {
  if (one === null || other === null) return one === other;
  return Buffer.compare(one, other) === 0;
}
