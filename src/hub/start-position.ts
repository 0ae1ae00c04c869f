import { setTimeout as delay } from "node:timers/promises";
import type { ReadableLog } from "../log/readable-log.ts";
import { hasReached, parsePosition, type Position, type TopicPosition } from "../log/position.ts";
import type { EndsSource, TopicEnds } from "../log/source.ts";
import type { FairTurns } from "./fair-turns.ts";
import { beginningOfRecent, earliestPosition, positionSince } from "./history.ts";
import type { Picks, Reader } from "./page.ts";
import { applyResets, type PlannedReset, type Reset, type ResetReason } from "./reset.ts";

/** Where a request asks to begin. */
export interface StartRequest {
  /** As it came: any text. */
  readonly lastEventId: string | undefined;
  /** Milliseconds since 1970, or a place. */
  readonly since: number | "latest" | "earliest" | undefined;
  /** Newest matching events to begin with. */
  readonly recent: number | undefined;
  /** With `recent`: the newest event of each key, of the newest so many keys. */
  readonly per: "key" | undefined;
}

/** Where a stream begins, and what it must be told first. */
export interface Start {
  readonly position: Position;
  readonly resets: readonly Reset[];
  /** Whether the position that the subscriber gave is (but for resets) where it begins. */
  readonly isResumed: boolean;
  readonly picks: Picks | undefined;
}

/** A part of a start: where some topics begin. */
type Beginning = Pick<Start, "position" | "picks">;

export interface StartContext {
  readonly log: ReadableLog;
  readonly ends: EndsSource;
  readonly turns: FairTurns;
  readonly signal: AbortSignal;
  /** Between the two answers that make a position `ahead`. */
  readonly aheadConfirmMs: number;
}

/** What is known of one topic's start. `part` is what the subscriber gave, or where it begins. */
type Decided =
  | { readonly kind: "go"; readonly part: TopicPosition }
  | { readonly kind: "reset"; readonly part: TopicPosition; readonly reason: ResetReason };

type Verdict =
  | Decided
  /** Beyond the end by this answer: believed when it is said again later. */
  | { readonly kind: "suspect"; readonly part: TopicPosition }
  /** The source of the topic must say more. */
  | { readonly kind: "ask" };

/** The source's word: not asked yet, could not be asked, or what it said. */
type Word = "not-asked" | "unavailable" | readonly TopicEnds[];

/** Between two questions while no answer decides. */
const ASK_AGAIN_MS = 500;

/**
 * Decides where a stream begins. Every topic of the reader's subscription must be known to the log.
 * Takes as long as it must: no position is given up on an error, or on what Kafka said only once.
 */
export async function resolveStart(
  request: StartRequest,
  reader: Reader,
  context: StartContext,
): Promise<Start> {
  const { topics } = reader.subscription;
  const { lastEventId } = request;
  const given = lastEventId ? parsePosition(lastEventId) : undefined;
  if (lastEventId && !given) {
    const to = await fallback("malformed", topics, given, request, reader, context);
    const [reset] = applyResets(
      to.position,
      [{ reason: "malformed", to: to.position }],
      lastEventId,
    );
    return { ...to, resets: reset ? [reset] : [], isResumed: false };
  }
  if (!given) {
    const beginning = await requested(request, topics, reader, context);
    return { ...beginning, resets: [], isResumed: false };
  }
  const verdicts = await judgeAll(topics, given, context);
  const from = new Map<string, TopicPosition>();
  const byReason = new Map<ResetReason, string[]>();
  for (const [topic, verdict] of verdicts) {
    from.set(topic, verdict.part);
    if (verdict.kind !== "reset") continue;
    byReason.set(verdict.reason, [...(byReason.get(verdict.reason) ?? []), topic]);
  }
  const planned: PlannedReset[] = [];
  let picks: Picks | undefined;
  for (const [reason, names] of byReason) {
    const to = await fallback(reason, names, given, request, reader, context);
    planned.push({ reason, to: to.position });
    picks = bothPicks(picks, to.picks);
  }
  const position = new Map([...from, ...planned.flatMap(({ to }) => [...to])]);
  const resumed = topics.some((topic) => given.has(topic) && verdicts.get(topic)?.kind === "go");
  const resets = applyResets(from, planned, lastEventId);
  return { position, resets, isResumed: resumed, picks };
}

function bothPicks(one: Picks | undefined, other: Picks | undefined): Picks | undefined {
  if (!one || !other) return one ?? other;
  return {
    until: new Map([...one.until, ...other.until]),
    seqs: one.seqs.union(other.seqs),
  };
}

/** Where the request itself says to begin: `since`, `recent`, else `latest`. */
async function requested(
  { since, recent, per }: StartRequest,
  topics: readonly string[],
  reader: Reader,
  context: StartContext,
): Promise<Beginning> {
  const { log, turns, signal } = context;
  if (recent !== undefined && recent > 0) {
    const narrowed = { ...reader, subscription: { ...reader.subscription, topics } };
    return turns.run(beginningOfRecent(log, narrowed, recent, per), signal);
  }
  const position =
    since === "earliest"
      ? earliestPosition(log, topics)
      : typeof since === "number"
        ? await turns.run(positionSince(log, topics, since), signal)
        : await latest(topics, context);
  return { position, picks: undefined };
}

/** Where topics go on whose position cannot be honoured. */
async function fallback(
  reason: ResetReason,
  topics: readonly string[],
  given: Position | undefined,
  request: StartRequest,
  reader: Reader,
  context: StartContext,
): Promise<Beginning> {
  const asks = request.since !== undefined || request.recent !== undefined;
  if (asks || reason === "malformed" || reason === "ahead") {
    return requested(request, topics, reader, context);
  }
  const held = earliestPosition(context.log, topics);
  if (reason !== "expired") return { position: held, picks: undefined };
  const later = new Map(
    [...held].map(([topic, { tag, offsets }]) => [
      topic,
      {
        tag,
        offsets: offsets.map((floor, p) => Math.max(floor, given?.get(topic)?.offsets[p] ?? 0)),
      },
    ]),
  );
  return { position: later, picks: undefined };
}

/** The ends as the source has them now; while it cannot be asked, the log's: then nothing later is missed. */
async function latest(topics: readonly string[], { log, ends }: StartContext): Promise<Position> {
  const answers = await ends.ends(topics).catch((): TopicEnds[] => []);
  const position = new Map<string, TopicPosition>();
  for (const topic of topics) {
    const state = log.topic(topic);
    const answer = answers.find((a) => a.topic === topic);
    if (state) position.set(topic, endOf(state, answer));
  }
  return position;
}

function endOf(state: TopicPosition, answer: TopicEnds | undefined): TopicPosition {
  if (!answer) return state;
  const known = answer.tag === state.tag ? state.offsets : [];
  return { tag: answer.tag, offsets: answer.ends.map((end, p) => end ?? known[p] ?? 0) };
}

/** Asks the source for as long as it takes to decide on every topic. */
async function judgeAll(
  topics: readonly string[],
  given: Position,
  { log, ends, signal, aheadConfirmMs }: StartContext,
): Promise<Map<string, Decided>> {
  const decided = new Map<string, Decided>();
  let word: Word = "not-asked";
  let suspectSinceMs: number | undefined;
  for (;;) {
    const suspects = new Map<string, Decided>();
    for (const topic of topics) {
      if (decided.has(topic)) continue;
      const verdict = judge(topic, given.get(topic), log, word);
      if (verdict.kind === "go" || verdict.kind === "reset") decided.set(topic, verdict);
      if (verdict.kind === "suspect")
        suspects.set(topic, { ...verdict, kind: "reset", reason: "ahead" });
    }
    if (decided.size === topics.length) return decided;
    if (word !== "not-asked") {
      const nowMs = performance.now();
      if (suspects.size === 0) suspectSinceMs = undefined;
      else if (suspectSinceMs === undefined) suspectSinceMs = nowMs;
      else if (nowMs - suspectSinceMs >= aheadConfirmMs) {
        for (const [topic, verdict] of suspects) decided.set(topic, verdict);
        if (decided.size === topics.length) return decided;
      }
      const waitMs = suspects.size > 0 ? Math.min(ASK_AGAIN_MS, aheadConfirmMs) : ASK_AGAIN_MS;
      await delay(waitMs, undefined, { signal });
    }
    word = await ends.ends(topics).catch((): Word => "unavailable");
    signal.throwIfAborted();
  }
}

function judge(
  topic: string,
  part: TopicPosition | undefined,
  log: ReadableLog,
  word: Word,
): Verdict {
  const state = log.topic(topic) ?? { tag: "", offsets: [] };
  const answer = typeof word === "string" ? undefined : word.find((a) => a.topic === topic);
  if (!part) {
    return word === "not-asked" ? { kind: "ask" } : { kind: "go", part: endOf(state, answer) };
  }
  if (part.tag === state.tag) {
    const floors = log.floor(topic)?.offsets ?? [];
    if (floors.some((floor, p) => (part.offsets[p] ?? 0) < floor)) {
      return { kind: "reset", part, reason: "expired" };
    }
    if (hasReached(state, part)) return { kind: "go", part };
    if (typeof word === "string") return { kind: "ask" };
    // Deleted: nothing lies beyond the log's end.
    if (!answer) return { kind: "suspect", part };
    // Re-created, and the log will learn of it.
    if (answer.tag !== part.tag) return { kind: "ask" };
    return within(part, answer, state);
  }
  if (typeof word === "string") return { kind: "ask" };
  // The subscriber may come from an instance that has seen the new topic before this one.
  if (answer?.tag === part.tag) return within(part, answer, { tag: part.tag, offsets: [] });
  return { kind: "reset", part, reason: "recreated" };
}

/** Whether a position that lies beyond the log's own lies within the topic. */
function within(part: TopicPosition, { ends }: TopicEnds, state: TopicPosition): Verdict {
  let verdict: Verdict = { kind: "go", part };
  for (const [partition, offset] of part.offsets.entries()) {
    if (offset <= (state.offsets[partition] ?? 0)) continue;
    const end = ends[partition];
    if (partition >= ends.length || (end !== undefined && offset > end)) {
      return { kind: "suspect", part };
    }
    if (end === undefined) verdict = { kind: "ask" };
  }
  return verdict;
}
