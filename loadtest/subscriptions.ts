import { figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { startServer } from "./processes.ts";
import type { Server } from "./processes.ts";
import { startSubscribers } from "./programs.ts";
import type { RunningSubscribers, SubscribersResult } from "./programs.ts";
import type { Lengths } from "./ranges.ts";
import { measurePublished, measurePublishing, subscriberOptions, wordsFor } from "./window.ts";
import type { Load, PublisherWords } from "./window.ts";

/** Who subscribes to what, and what is published. */
export interface SubscriptionLoad extends Load, Lengths {
  /** How many streams; `{n}` in their path counts from 0 up to this. */
  readonly streams: number;
  readonly path: string;
  /** How often all of these streams are there: with 5 and a path with `{n}`, five streams have each number. */
  readonly copies: number;
  /** What the publisher goes round: `{ keys: 1000 }`. */
  readonly names: PublisherWords;
  /** Seconds for which the events are measured without a subscriber. */
  readonly publishing: number;
}

/** What a window comes to, and what it would have come to without subscribers. */
export interface SubscriptionFigures extends Figures {
  readonly publishingCores: number;
}

/**
 * Measures one server with these subscribers. Every stream is parsed whole. Delays are those of the
 * first copy; the others are held by processes of their own, and add to the load and to what is missing.
 */
export async function measureSubscriptions(load: SubscriptionLoad): Promise<SubscriptionFigures> {
  await using server = await startServer({ DATA_DIR: ":memory:" });
  const words = { ...wordsFor(server, load), ...load.names };
  const publishingCores =
    load.publishing > 0 ? await measurePublishing(server, words, load.publishing) : 0;
  const copies = Array.from({ length: load.copies - 1 }, () => holdCopy(server, load));
  await Promise.all(copies.map(({ open }) => open));
  const options = subscriberOptions({ ...load, subscribers: load.streams, sample: 1 }, load.path);
  const measurement = await measurePublished(server, options, words);
  for (const { running } of copies) running.stop();
  const others = await Promise.all(copies.map(({ running }) => running.result));
  const figures = figuresOf(measurement);
  const sum = (count: (other: SubscribersResult) => number): number =>
    others.reduce((total, other) => total + count(other), 0);
  return {
    ...figures,
    deliveriesPerSecond: figures.deliveriesPerSecond * load.copies,
    cpuUsPerDelivery: figures.cpuUsPerDelivery / load.copies,
    cpuUsPerWrite: figures.cpuUsPerWrite / load.copies,
    gaps: figures.gaps + sum(({ gaps }) => gaps),
    repeats: figures.repeats + sum(({ repeats }) => repeats),
    streamsLost: figures.streamsLost + sum(({ failed, closedByServer }) => failed + closedByServer),
    publishingCores,
  };
}

/** Ends copies where nobody else does: a driver that died. */
const LEEWAY_S = 60;

/** `open` resolves when all streams of the copy are there. It reads until it is stopped. */
function holdCopy(
  { port }: Server,
  { streams, path, warmup, seconds, drain }: SubscriptionLoad,
): { open: Promise<unknown>; running: RunningSubscribers } {
  const opened = Promise.withResolvers<void>();
  const limit = warmup + seconds + drain + LEEWAY_S;
  const options = { connections: streams, path, warmup: 0, seconds: limit };
  const running = startSubscribers(`127.0.0.1:${port}`, options, ({ phase }) => {
    if (phase === "measure") opened.resolve();
  });
  return { open: Promise.race([opened.promise, running.result]), running };
}
