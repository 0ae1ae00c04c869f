import type { EventHandler } from "./handlers.ts";
import type { HeldOptions } from "./held-options.ts";
import { useHeldStream, useStreamState } from "./use-held-stream.ts";

export interface UseEventSourceOptions extends HeldOptions {
  /** Writes statuses and events to the console. */
  readonly debug?: boolean | undefined;
}

export interface UseEventSourceResult {
  readonly connected: boolean;
  /**
   * Calls for each event of a type, `payment:completed`; of all types that begin so, `payment:*`; of all, `*`.
   * Once, however often the same one is added.
   */
  readonly addHandler: (type: string, handler: EventHandler) => void;
  readonly removeHandler: (type: string, handler: EventHandler) => void;
}

/** A stream of what is sent to a user, a channel or everyone, with handlers by the events' names. */
export function useEventSource({
  debug = false,
  ...options
}: UseEventSourceOptions = {}): UseEventSourceResult {
  const { onEvent, onStatus } = options;
  const held = useHeldStream({
    ...options,
    onEvent: (event) => {
      if (debug) console.debug("Headgate:", event.type, event.data);
      return onEvent?.(event);
    },
    onStatus: (status, detail) => {
      if (debug) console.debug("Headgate:", status, ...(detail.why ? [detail.why.message] : []));
      onStatus?.(status, detail);
    },
  });
  const { status } = useStreamState(held);
  const { addOnce: addHandler, remove: removeHandler } = held.handlers;
  return { connected: status === "open", addHandler, removeHandler };
}
