import { useEffect, useInsertionEffect, useState, useSyncExternalStore } from "react";
import { type HeldOptions, streamKey } from "./held-options.ts";
import { CONNECTING, HeldStream, type StreamState } from "./held-stream.ts";

/** Holds the stream of a component, as long as that is there. Says nothing about its state. */
export function useHeldStream(options: HeldOptions): HeldStream {
  const [held] = useState(() => new HeldStream(options));
  // Before every other effect: what those do is done with the options of this render.
  useInsertionEffect(() => held.update(options));
  const key = streamKey(options);
  useEffect(() => held.hold(), [held, key]);
  return held;
}

/** Renders when the state changes. */
export function useStreamState(held: HeldStream): StreamState {
  return useSyncExternalStore(held.subscribe, held.getState, stateOnServer);
}

function stateOnServer(): StreamState {
  return CONNECTING;
}
