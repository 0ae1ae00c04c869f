/** The same answer for some time: however often strangers ask, it is made at most once in it. */
export function heldFor<T>(
  holdMs: number,
  make: () => T,
  nowMs: () => number = () => performance.now(),
): () => T {
  let held: { readonly value: T; readonly untilMs: number } | undefined;
  return () => {
    if (!held || nowMs() >= held.untilMs) held = { value: make(), untilMs: nowMs() + holdMs };
    return held.value;
  };
}
