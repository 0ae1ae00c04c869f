import type { Frame } from "./frame-source.ts";
import type { Gate } from "./gate.ts";

/** However few events they are: a thousand of the largest would be a quarter of a gigabyte. */
const MAX_CHARACTERS = 8 << 20;

/** What has come and has not been taken. */
export interface Inbox {
  readonly put: (frame: Frame) => void;
  /** The next one, when it has come; undefined once it has ended and is empty. For one at a time. */
  readonly take: () => Promise<Frame | undefined>;
  /** No more will come. What has come can be taken still. */
  readonly end: () => void;
  /** Forgets what has come. */
  readonly clear: () => void;
}

/** When it is full it closes the gate, and opens it again when half of it has been taken. */
export function createInbox(gate: Gate, maxFrames: number): Inbox {
  let frames: Frame[] = [];
  let characters = 0;
  let isEnded = false;
  let wake = (): void => undefined;

  const isFuller = (part: number): boolean =>
    frames.length >= maxFrames * part || characters >= MAX_CHARACTERS * part;

  return {
    put: (frame) => {
      frames.push(frame);
      characters += frame.data.length;
      if (isFuller(1)) gate.close();
      wake();
    },
    take: async () => {
      if (frames.length === 0 && !isEnded) {
        await new Promise<void>((resolve) => (wake = resolve));
      }
      const frame = frames.shift();
      characters -= frame?.data.length ?? 0;
      if (!isFuller(0.5)) gate.open();
      return frame;
    },
    end: () => {
      isEnded = true;
      wake();
    },
    clear: () => {
      frames = [];
      characters = 0;
      gate.open();
    },
  };
}
