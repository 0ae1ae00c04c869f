/**
 * Runs a task under a signal that aborts after `timeoutMs`, or with `outer`. Rejects then, whether
 * or not the task heeds it. (`AbortSignal.any` is younger than some runtimes that this runs on.)
 */
export async function withDeadline<T>(
  timeoutMs: number,
  outer: AbortSignal | undefined,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const onOuter = (): void => abort.abort(outer?.reason);
  const onTimeout = (): void => abort.abort(new Error(`No answer within ${timeoutMs} ms`));
  const timer = setTimeout(onTimeout, timeoutMs);
  outer?.addEventListener("abort", onOuter);
  try {
    const aborted = new Promise<never>((_resolve, reject) => {
      abort.signal.addEventListener("abort", () => reject(abort.signal.reason));
    });
    return await Promise.race([task(abort.signal), aborted]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", onOuter);
  }
}

/** Resolves after `ms`, or as soon as the signal aborts. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    if (signal?.aborted === true) end();
  });
}
