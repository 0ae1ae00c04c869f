import { useRef, useState, useSyncExternalStore } from "react";
import type { StreamEvent } from "../client/stream.ts";
import { oncePerTurn } from "./turn.ts";

/** The newest event, for who shows it. */
class LatestEvent {
  readonly #listeners = new Set<() => void>();
  #event: StreamEvent | undefined;
  #address: string | undefined;

  take(event: StreamEvent, address: string | undefined): void {
    this.#event = event;
    this.#address = address;
    this.#tell();
  }

  /** That of an address: what has come from another one is not shown as its own. */
  of(address: string | undefined): StreamEvent | undefined {
    return this.#address === address ? this.#event : undefined;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** A replay of a thousand events is not a thousand renders. */
  readonly #tell = oncePerTurn(() => {
    for (const listener of this.#listeners) listener();
  });
}

/** The newest event of an address. A component is rendered for it, once a turn, as soon as it has called `read`. */
export function useLatestEvent(address: string | undefined): {
  readonly take: (event: StreamEvent) => void;
  readonly read: () => StreamEvent | undefined;
} {
  const [latest] = useState(() => new LatestEvent());
  const isRead = useRef(false);
  const shown = (): StreamEvent | undefined => (isRead.current ? latest.of(address) : undefined);
  useSyncExternalStore(latest.subscribe, shown, none);
  return {
    take: (event) => latest.take(event, address),
    read: () => {
      isRead.current = true;
      return latest.of(address);
    },
  };
}

function none(): undefined {
  return undefined;
}
