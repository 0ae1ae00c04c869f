import type { StreamEvent } from "../client/stream.ts";

/** Gets an event. The next one waits for the promise that it may return; whatever else it returns is nothing. */
export type EventHandler<E extends StreamEvent = StreamEvent> = (event: E) => unknown;

/** Of some events those of a type; of a pattern, or a type that is not among them, all. */
export type EventNamed<E extends StreamEvent, Type extends string> = [
  Extract<E, { readonly type: Type }>,
] extends [never]
  ? E
  : Extract<E, { readonly type: Type }>;

interface Entry {
  /** A type, or the beginning of types with `*`. */
  readonly type: string;
  readonly handler: EventHandler;
}

/** Who gets which events, in the order in which they came. */
export class Handlers {
  readonly #entries = new Set<Entry>();

  /** Returns what takes it away again; the same handler can be there several times. */
  readonly add = (type: string, handler: EventHandler): (() => void) => {
    const entry = { type, handler };
    this.#entries.add(entry);
    return () => void this.#entries.delete(entry);
  };

  /** Adds it, unless it is there. */
  readonly addOnce = (type: string, handler: EventHandler): void => {
    if (this.#find(type, handler).length === 0) this.add(type, handler);
  };

  readonly remove = (type: string, handler: EventHandler): void => {
    for (const entry of this.#find(type, handler)) this.#entries.delete(entry);
  };

  /** Those for a type. One that is taken away before its turn is not called any more. */
  of(type: string): EventHandler[] {
    return [...this.#entries]
      .filter((entry) => matches(entry.type, type))
      .map((entry) => (event) => (this.#entries.has(entry) ? entry.handler(event) : undefined));
  }

  #find(type: string, handler: EventHandler): Entry[] {
    return [...this.#entries].filter((entry) => entry.type === type && entry.handler === handler);
  }
}

/**
 * Gives an event to all; resolves when they have dealt with it. What one throws is seen in the console,
 * and is no reason for the others, or for the stream, to stop.
 */
export function hand<E extends StreamEvent>(
  event: E,
  handlers: readonly (EventHandler<E> | undefined)[],
): void | Promise<void> {
  const waits: Promise<void>[] = [];
  for (const handler of handlers) {
    try {
      const wait = handler?.(event);
      if (wait !== undefined) waits.push(Promise.resolve(wait).then(ignore, report));
    } catch (error) {
      report(error);
    }
  }
  return waits.length === 0 ? undefined : Promise.all(waits).then(ignore);
}

function ignore(): void {
  // Nothing is made of what handlers return.
}

function report(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function matches(pattern: string, type: string): boolean {
  return pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}
