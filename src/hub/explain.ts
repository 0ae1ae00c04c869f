import { formatPosition } from "../log/position.ts";
import type { FairTurns } from "./fair-turns.ts";
import { readingPoint } from "./opening.ts";
import { type Page, type Reader, type ReadingPoint, readPage } from "./page.ts";
import type { ResetReason } from "./reset.ts";
import type { Source } from "./source.ts";
import { resolveStart, type StartRequest } from "./start-position.ts";

/** What a stream would begin with. */
export interface Explanation {
  /** The id at which it would start, after all resets. */
  readonly id: string;
  /** Whether it would go on from the id that was given, but for resets. */
  readonly resumed: boolean;
  /** In byte order. */
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: number;
    /** First offset of partition 0, 1, 2 … */
    readonly start: readonly number[];
    readonly reset: ResetReason | null;
  }[];
  readonly replay: {
    readonly events: number;
    readonly bytes: number;
    /** Whether the replay was too long to be read through for this answer. */
    readonly estimated: boolean;
  };
}

/** Pages that are read for an answer: bounds the work that one request makes, to a second or so. */
const MAX_PAGES = 200;

/** Says what a stream would begin with, by doing what it would do, but for the sending. */
export async function explainStart(
  request: StartRequest,
  reader: Reader,
  { source, turns, signal }: { source: Source; turns: FairTurns; signal: AbortSignal },
): Promise<Explanation> {
  const start = await resolveStart(request, reader, { ...source, turns, signal });
  const { position } = start;
  const reasonOf = new Map(
    start.resets.flatMap(({ topics, reason }) => topics.map((topic) => [topic, reason] as const)),
  );
  const topics = reader.subscription.topics.flatMap((topic) => {
    const offsets = position.get(topic)?.offsets;
    if (!offsets) return [];
    const reset = reasonOf.get(topic) ?? null;
    return { topic, partitions: offsets.length, start: offsets, reset };
  });
  const { headSeq } = source.log;
  const point = readingPoint(source, start, reader.subscription, headSeq);
  const replay = await turns.run(measure(source, point, reader, headSeq), signal);
  return { id: formatPosition(position), resumed: start.isResumed, topics, replay };
}

/** Reads what would be sent up to `lastSeq`, or enough of it to tell the rest. */
function* measure(
  { log }: Source,
  from: ReadingPoint,
  reader: Reader,
  lastSeq: number,
): Generator<void, Explanation["replay"], void> {
  let point = from;
  let events = 0;
  let bytes = 0;
  for (let pages = 0; point.seq < lastSeq; pages += 1) {
    if (pages === MAX_PAGES) {
      const share = (lastSeq - from.seq) / (point.seq - from.seq);
      return {
        events: Math.round(events * share),
        bytes: Math.round(bytes * share),
        estimated: true,
      };
    }
    const page: Page = readPage(log, point, reader, lastSeq);
    if (page.end.seq === point.seq) break;
    ({ end: point } = page);
    events += page.events;
    bytes += page.bytes.byteLength;
    yield;
  }
  return { events, bytes, estimated: false };
}
