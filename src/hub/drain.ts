/** Streams close over this part of the grace; the rest is for those that take their time. */
const SPREAD = 0.7;

const POLL_MS = 20;

interface DrainOptions<S> {
  readonly graceMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Ends a stream after a whole event. */
  readonly close: (stream: S) => void;
  /** Ends it at once. */
  readonly cut: (stream: S) => void;
}

/** Closes every stream at a time of its own within the grace, and cuts those that are left at its end; resolves when all are gone. */
export async function drainStreams<S>(
  streams: ReadonlySet<S>,
  { graceMs, random, close, cut }: DrainOptions<S>,
): Promise<void> {
  const gone = Promise.withResolvers<void>();
  const timers = [...streams].map((stream) =>
    setTimeout(() => close(stream), random() * graceMs * SPREAD),
  );
  timers.push(
    setInterval(() => {
      if (streams.size === 0) gone.resolve();
    }, POLL_MS),
    setTimeout(() => {
      for (const stream of streams) cut(stream);
      gone.resolve();
    }, graceMs),
  );
  await gone.promise;
  for (const timer of timers) clearTimeout(timer);
}
