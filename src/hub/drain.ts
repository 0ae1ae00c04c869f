import type { Subscriber } from "./subscriber.ts";

/** Streams close over this part of the grace; the rest is for those that take their time. */
const SPREAD = 0.7;

const POLL_MS = 20;

interface DrainOptions {
  readonly graceMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Ends a stream after a whole event. */
  readonly close: (subscriber: Subscriber) => void;
  /** Ends it at once. */
  readonly cut: (subscriber: Subscriber) => void;
}

/** Closes every stream at a time of its own within the grace, and cuts those that are left at its end; resolves when all are gone. */
export async function drainStreams(
  subscribers: ReadonlySet<Subscriber>,
  { graceMs, random, close, cut }: DrainOptions,
): Promise<void> {
  const gone = Promise.withResolvers<void>();
  const timers = [...subscribers].map((subscriber) =>
    setTimeout(() => close(subscriber), random() * graceMs * SPREAD),
  );
  timers.push(
    setInterval(() => {
      if (subscribers.size === 0) gone.resolve();
    }, POLL_MS),
    setTimeout(() => {
      for (const subscriber of subscribers) cut(subscriber);
      gone.resolve();
    }, graceMs),
  );
  await gone.promise;
  for (const timer of timers) clearTimeout(timer);
}
