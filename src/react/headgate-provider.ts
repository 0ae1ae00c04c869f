import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useInsertionEffect,
  useRef,
} from "react";
import type { EventOf, Schemas, StreamError, StreamStatus } from "../client/stream.ts";
import type { EventHandler, EventNamed } from "./handlers.ts";
import type { HeldOptions } from "./held-options.ts";
import type { HeldStream } from "./held-stream.ts";
import { useHeldStream, useStreamState } from "./use-held-stream.ts";

export interface HeadgateProviderProps<S extends Schemas = Schemas> extends HeldOptions<S> {
  readonly children?: ReactNode;
}

/** What the components below a provider share. With schemas: `useHeadgate<typeof schemas>()`. */
export interface HeadgateContext<S extends Schemas = Schemas> {
  readonly status: StreamStatus;
  readonly isConnected: boolean;
  /** Why the stream has given up. */
  readonly error: StreamError | undefined;
  /** The position now: nothing is rendered when it moves on. */
  readonly lastEventId: string | undefined;
  /** Calls for each event of a type, of types that begin so (`order.*`), or of all (`*`), until what it returns is called. */
  readonly subscribe: <Type extends string>(
    type: Type,
    handler: EventHandler<EventNamed<EventOf<S>, Type>>,
  ) => () => void;
}

const Held = createContext<HeldStream | undefined>(undefined);

/** One stream for all components below it, with the options of `connect`. */
export function HeadgateProvider<S extends Schemas = Schemas>({
  children,
  ...options
}: HeadgateProviderProps<S>): ReactElement {
  // What comes is what the schemas made of it: handlers may say so.
  const held = useHeldStream(options as HeldOptions);
  return createElement(Held.Provider, { value: held }, children);
}

/**
 * The provider's stream. Renders when its status changes, and for no event.
 * @throws Error where there is no provider above.
 */
export function useHeadgate<S extends Schemas = Schemas>(): HeadgateContext<S> {
  const held = useHeld("useHeadgate");
  const { status, error } = useStreamState(held);
  return {
    status,
    isConnected: status === "open",
    error,
    get lastEventId() {
      return held.lastEventId;
    },
    // By their schemas, as above.
    subscribe: held.handlers.add as HeadgateContext<S>["subscribe"],
  };
}

/**
 * Calls for each of the provider's events of a type, of types that begin so (`order.*`), or of all
 * (`*`), while the component is there; always the handler of the last render. It renders nothing.
 * @throws Error where there is no provider above.
 */
export function useEvents<S extends Schemas = Schemas, Type extends string = string>(
  type: Type,
  handler: EventHandler<EventNamed<EventOf<S>, Type>>,
): void {
  const held = useHeld("useEvents");
  const latest = useRef(handler);
  useInsertionEffect(() => {
    latest.current = handler;
  });
  useEffect(
    () => held.handlers.add(type, (event) => (latest.current as EventHandler)(event)),
    [held, type],
  );
}

function useHeld(hook: string): HeldStream {
  const held = useContext(Held);
  if (!held) throw new Error(`${hook} needs a HeadgateProvider above it`);
  return held;
}
