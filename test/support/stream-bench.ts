import { openStream, type SourceSetup } from "../../src/client/event-stream.ts";
import type { Schemas, StatusDetail, Stream, StreamStatus } from "../../src/client/stream.ts";
import type { StreamOptions } from "../../src/client/stream-options.ts";
import { ManualClock, settled } from "./manual-clock.ts";

/** A stream whose source does what a test says. */
export class StreamBench {
  readonly clock = new ManualClock();
  /** What the source was told: `start p1`, `stop`, `retry`. */
  readonly told: string[] = [];
  readonly statuses: { readonly status: StreamStatus; readonly detail: StatusDetail }[] = [];
  readonly stream: Stream;
  #setup: SourceSetup | undefined;

  constructor(options: StreamOptions = {}) {
    this.stream = openStream<Schemas>(
      {
        url: "http://localhost:3000",
        onStatus: (status, detail) => this.statuses.push({ status, detail }),
        ...options,
      },
      (setup) => {
        this.#setup = setup;
        return {
          start: (id) => this.told.push(id === undefined ? "start" : `start ${id}`),
          stop: () => this.told.push("stop"),
          retryNow: () => this.told.push("retry"),
        };
      },
      this.clock,
    );
  }

  /** What the source was made from. */
  get setup(): SourceSetup {
    if (!this.#setup) throw new Error("No source was made");
    return this.#setup;
  }

  get statusNames(): readonly StreamStatus[] {
    return this.statuses.map(({ status }) => status);
  }

  /** A frame comes; its data, unless given, is its id as JSON. */
  async send(id: string, type = "message", data = JSON.stringify(id)): Promise<void> {
    this.setup.onFrame({ type, id, data });
    await settled();
  }

  async sendAll(...ids: string[]): Promise<void> {
    for (const id of ids) this.setup.onFrame({ type: "message", id, data: JSON.stringify(id) });
    await settled();
  }

  async open(): Promise<void> {
    this.setup.onState({ name: "open" });
    await settled();
  }

  async giveUp(): Promise<void> {
    this.setup.onState({
      name: "error",
      why: { reason: "refused", message: "no", httpStatus: 403 },
    });
    await settled();
  }
}

/** A place for positions that says what was written. */
export class RecordingStorage {
  readonly written: string[] = [];
  readonly keys = new Set<string>();
  #id: string | null;

  constructor(id: string | null = null) {
    this.#id = id;
  }

  getItem(key: string): string | null {
    this.keys.add(key);
    return this.#id;
  }

  setItem(key: string, id: string): void {
    this.keys.add(key);
    this.written.push(id);
    this.#id = id;
  }
}
