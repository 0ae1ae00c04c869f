import { Arrivals, openStream } from "./arrivals.ts";
import type { Settings } from "./server.ts";

/** A line of a JSON lines stream: a record's envelope with its id, or a system event. */
export interface Line {
  readonly id?: string | undefined;
  /** Only of system events. */
  readonly event?: string | undefined;
  readonly [member: string]: unknown;
}

/** Reads a stream of JSON lines, each parsed the moment its last byte is there. Cut by `await using`. */
export class LineReader implements AsyncDisposable {
  readonly response: Response;
  /** As they came, without their ends. */
  readonly texts: string[] = [];
  readonly lines: Line[] = [];
  /** What came after the last line's end. */
  rest = "";
  isEnded = false;
  /** Why reading ended, where it was not a clean end. */
  failure: unknown;
  readonly #abort: AbortController;
  readonly #done: Promise<void>;
  readonly #arrivals = new Arrivals();

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#done = this.#read();
  }

  /** Opens a stream; `target` is a path with its query. */
  static async open(
    url: string,
    target = "/events",
    { headers = {}, lastEventId }: { headers?: Settings; lastEventId?: string } = {},
  ): Promise<LineReader> {
    const { response, abort } = await openStream(`${url}${target}`, {
      accept: "application/x-ndjson",
      headers,
      lastEventId,
    });
    return new LineReader(response, abort);
  }

  /** The same, and waits until it has caught up. */
  static async live(...args: Parameters<typeof LineReader.open>): Promise<LineReader> {
    const reader = await LineReader.open(...args);
    await reader.first("live");
    return reader;
  }

  get records(): readonly Line[] {
    return this.lines.filter((line) => !("event" in line));
  }

  /** The `id` of the last line that has one. */
  get lastEventId(): string {
    return this.lines.findLast(({ id }) => id !== undefined)?.id ?? "";
  }

  named(event: string): readonly Line[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Resolves when the condition holds, which is looked at after every piece that comes. */
  until(isTrue: () => boolean): Promise<void> {
    return this.#arrivals.until(isTrue, { describe: () => this.texts.slice(-5) });
  }

  /** The first system event of this name, once it is there. */
  async first(event: string): Promise<Line> {
    await this.until(() => this.named(event).length > 0);
    return this.named(event)[0] ?? {};
  }

  async recordsUpTo(count: number): Promise<readonly Line[]> {
    await this.until(() => this.records.length >= count);
    return this.records;
  }

  ended(): Promise<void> {
    return this.until(() => this.isEnded);
  }

  /** Drops the connection. */
  async cut(): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cut();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    try {
      for await (const chunk of this.response.body ?? []) {
        const [...whole] = (this.rest + decoder.decode(chunk, { stream: true })).split("\n");
        this.rest = whole.pop() ?? "";
        for (const text of whole) {
          this.texts.push(text);
          // The cast holds where it is an object, which the tests say of every line.
          this.lines.push(JSON.parse(text) as Line);
        }
        this.#arrivals.note();
      }
    } catch (error) {
      this.failure = error;
    }
    this.isEnded = true;
    this.#arrivals.note();
  }
}
