import { useRef, useState } from "react";
import { connect } from "../client/connect.ts";
import type { Interruption } from "../client/frame-source.ts";
import type { StreamError, StreamEvent, StreamStatus } from "../client/stream.ts";
import { type EventHandler, hand } from "./handlers.ts";
import type { HeldOptions } from "./held-options.ts";
import { useLatestEvent } from "./latest-event.ts";
import { type QueryClientLike, QueryInvalidation, type QueryKey } from "./query-invalidation.ts";
import { splitAddress } from "./stream-address.ts";
import { useHeldStream, useStreamState } from "./use-held-stream.ts";

type PassedOn =
  | "token"
  | "withCredentials"
  | "fetch"
  | "maxReconnectAttempts"
  | "pauseWhenHidden"
  | "onReset"
  | "connect";

export interface UseSseOptions<Data = unknown> extends Pick<HeldOptions, PassedOn> {
  /** Of the stream, with its query: `/stream`, `https://events.example/stream?topics=orders`. */
  readonly url: string;
  /** The first wait between attempts, milliseconds: 5,000. It grows by 1.5 to 30,000. */
  readonly reconnectInterval?: number | undefined;
  readonly onMessage?: EventHandler<StreamEvent<string, Data>> | undefined;
  /** The stream is open: for the first time, or again. */
  readonly onConnect?: (() => void) | undefined;
  /** The stream was open, and is not any more. */
  readonly onDisconnect?: (() => void) | undefined;
  /** The connection broke, could not be made, or will not be tried again. */
  readonly onError?: ((why: Interruption) => void) | undefined;
  /** What an event makes stale in TanStack Query's cache: keys, or what tells those of an event. */
  readonly invalidateQueries?:
    | readonly QueryKey[]
    | ((event: StreamEvent<string, Data>) => readonly QueryKey[] | undefined)
    | undefined;
  /** What `useQueryClient()` gives; needed with `invalidateQueries`. */
  readonly queryClient?: QueryClientLike | undefined;
}

export interface UseSseResult<Data = unknown> {
  readonly status: StreamStatus;
  /** Why it has given up. */
  readonly error: StreamError | undefined;
  /** The newest event. Who reads it is rendered for each, or once for several that come together. */
  readonly lastMessage: StreamEvent<string, Data> | undefined;
  /** Opens it again after `disconnect`, or when it has given up, and goes on after the last event. */
  readonly connect: () => void;
  readonly disconnect: () => void;
}

/**
 * The stream of an address, open while the component is there. `Data` is what its events hold: nothing
 * checks that.
 * @throws TypeError where `invalidateQueries` has no `queryClient`.
 */
export function useSSE<Data = unknown>({
  url: address,
  reconnectInterval: firstMs = 5000,
  onMessage,
  onConnect,
  onDisconnect,
  onError,
  invalidateQueries,
  queryClient,
  onReset,
  connect: open = connect,
  ...options
}: UseSseOptions<Data>): UseSseResult<Data> {
  type Message = StreamEvent<string, Data>;
  if (invalidateQueries && !queryClient) {
    throw new TypeError("invalidateQueries needs queryClient: what useQueryClient() gives");
  }
  const latest = useLatestEvent(address);
  const [invalidation] = useState(() => new QueryInvalidation());
  const isOpen = useRef(false);

  const invalidate = (event?: StreamEvent<string, Data>): void => {
    const isChosen = typeof invalidateQueries === "function";
    const keys = isChosen ? event && invalidateQueries(event) : invalidateQueries;
    if (queryClient && keys) invalidation.add(queryClient, keys);
  };
  const held = useHeldStream({
    ...options,
    url: address,
    backoff: { firstMs },
    connect: (settings) => open({ ...settings, ...splitAddress(address) }),
    // As its user says that it is.
    onEvent: (event) => hand(event as Message, [latest.take, invalidate, onMessage]),
    onStatus: (status, { why }) => {
      const wasOpen = isOpen.current;
      isOpen.current = status === "open";
      if (isOpen.current) onConnect?.();
      else if (wasOpen) onDisconnect?.();
      if (why) onError?.(why);
    },
    // What was missed may have made any of the keys stale. Where nobody sees to it, there is a warning.
    onReset:
      onReset || Array.isArray(invalidateQueries)
        ? (notice) => {
            invalidate();
            onReset?.(notice);
          }
        : undefined,
  });
  const { status, error } = useStreamState(held);
  return {
    status,
    error,
    get lastMessage() {
      return latest.read() as Message | undefined;
    },
    connect: held.connect,
    disconnect: held.disconnect,
  };
}
