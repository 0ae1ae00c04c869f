import type { Frame } from "./frame-source.ts";

/** However few frames they are: as an inbox. */
const MAX_CHARACTERS = 8 << 20;

/** The host's frames that a member has not taken, from some position on. */
export interface FrameQueue {
  /** The position after the last of them. */
  readonly end: string | undefined;
  /** Forgets them: what follows comes after this position. */
  readonly begin: (at: string | undefined) => void;
  /** False where it was full: then it begins anew, after this frame. */
  readonly put: (frame: Frame) => boolean;
  readonly take: () => Frame | undefined;
  /** Drops what comes before a position. False where the position is none of its own. */
  readonly skipTo: (at: string | undefined) => boolean;
}

/** A member that takes nothing must not hold all that the others are told meanwhile: no more than this. */
export function createQueue(maxFrames: number): FrameQueue {
  let start: string | undefined;
  let end: string | undefined;
  let frames: Frame[] = [];
  let characters = 0;
  /** So that a long replay need not look through all frames at each of its own. */
  let ids = new Set<string | undefined>();

  const begin = (at: string | undefined): void => {
    start = at;
    end = at;
    frames = [];
    characters = 0;
    ids = new Set();
  };
  return {
    get end() {
      return end;
    },
    begin,
    put: (frame) => {
      end = frame.id || undefined;
      if (frames.length >= maxFrames || characters >= MAX_CHARACTERS) {
        begin(end);
        return false;
      }
      frames.push(frame);
      characters += frame.data.length;
      ids.add(end);
      return true;
    },
    take: () => {
      const frame = frames.shift();
      characters -= frame?.data.length ?? 0;
      ids.delete(frame?.id);
      return frame;
    },
    skipTo: (at) => {
      // Before there is a position there are no events, and a notice is not to be lost.
      if (at === undefined || !ids.has(at)) return at === start;
      // The last of them: a notice may have the id of the event before it.
      const last = frames.map(({ id }) => id).lastIndexOf(at);
      const dropped = frames.splice(0, last + 1);
      for (const { data } of dropped) characters -= data.length;
      return true;
    },
  };
}
