import type { Clock } from "./clock.ts";
import type { PositionStorage } from "./stream.ts";

/** Storage of browsers writes to disk, and stops the page for it: not for each event. */
const WRITE_MS = 1000;

/** A position that is kept over page loads. */
export interface StoredPosition {
  /** Null or undefined where none is kept. */
  readonly read: () => Promise<string | null | undefined>;
  /** Writes it soon. */
  readonly note: (id: string) => void;
  /** Writes it now. */
  readonly flush: () => void;
}

/** Storage that fails is said, and done without. */
export function storedPosition(
  storage: PositionStorage,
  { key, clock }: { key: string; clock: Clock },
): StoredPosition {
  let unwritten: string | undefined;
  let isDue = false;

  const flush = (): void => {
    const id = unwritten;
    unwritten = undefined;
    if (id !== undefined) void tolerate(() => storage.setItem(key, id));
  };
  return {
    read: () => tolerate(() => storage.getItem(key)),
    note: (id) => {
      unwritten = id;
      if (isDue) return;
      isDue = true;
      clock.after(WRITE_MS, () => {
        isDue = false;
        flush();
      });
    },
    flush,
  };
}

async function tolerate<T>(access: () => T): Promise<Awaited<T> | undefined> {
  try {
    return await access();
  } catch (error) {
    console.warn("Headgate: the position cannot be kept", error);
    return undefined;
  }
}
