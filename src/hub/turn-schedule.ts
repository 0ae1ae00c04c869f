import type { TurnState } from "./lanes.ts";

interface TurnScheduleOptions {
  /** Milliseconds for which arriving events are gathered; 0: those of one event-loop turn. */
  readonly flushMs: number;
  /** Does one lane's turn. */
  readonly turn: () => TurnState;
}

/** When lanes take their turns: once events have come, one lane in each turn of the event loop, until all have them. */
export class TurnSchedule {
  readonly #options: TurnScheduleOptions;
  #isDue = false;

  constructor(options: TurnScheduleOptions) {
    this.#options = options;
  }

  /** There is something to deliver. */
  request(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const { flushMs } = this.#options;
    if (flushMs > 0) setTimeout(() => this.#run(), flushMs);
    else setImmediate(() => this.#run());
  }

  #run(): void {
    let state: TurnState = "done";
    try {
      state = this.#options.turn();
    } finally {
      this.#isDue = state === "sweeping";
    }
    // What was gathered once leaves to all lanes without a pause.
    if (state === "sweeping") setImmediate(() => this.#run());
    else if (state === "behind") this.request();
  }
}
