import { createParser } from "eventsource-parser";
import { Arrivals } from "./arrivals.ts";

/** An event as somebody's client showed it to its program. */
export interface ShownEvent {
  /** `message` where the event has no name. */
  readonly event: string;
  readonly data: string;
  /** The last event id after it. */
  readonly id: string;
}

const SYSTEM_EVENTS = new Set(["connection", "reset", "live", "heartbeat", "close"]);

/** What a client that is not ours has shown so far. */
export class ShownEvents {
  readonly all: ShownEvent[] = [];
  readonly #arrivals = new Arrivals();

  take(event: ShownEvent): void {
    this.all.push(event);
    this.#arrivals.note();
  }

  get records(): readonly ShownEvent[] {
    return this.all.filter(({ event }) => !SYSTEM_EVENTS.has(event));
  }

  named(event: string): readonly ShownEvent[] {
    return this.all.filter((each) => each.event === event);
  }

  /** Resolves when so many events of this name have come, with the last of them. */
  async nth(event: string, count: number): Promise<ShownEvent> {
    await this.#until(() => this.named(event).length >= count);
    const found = this.named(event)[count - 1];
    if (!found) throw new Error(`No ${event} ${count}`);
    return found;
  }

  async recordsUpTo(count: number): Promise<readonly ShownEvent[]> {
    await this.#until(() => this.records.length >= count);
    return this.records;
  }

  #until(isTrue: () => boolean): Promise<void> {
    const last = (): string[] =>
      this.all.slice(-5).map(({ event, data, id }) => `${event} ${data.slice(0, 100)} ${id}`);
    return this.#arrivals.until(isTrue, { deadlineMs: 30_000, describe: last });
  }
}

/** A client that is not ours, reading a stream. Ended by `await using`. */
export interface OtherClient extends AsyncDisposable {
  readonly shown: ShownEvents;
}

/** Starts clients of one kind. */
export interface ClientStarter extends AsyncDisposable {
  /** @param types - The events that it listens for, where it must name them. */
  open(url: string, types: readonly string[]): Promise<OtherClient>;
}

/** How a program writes an event to stdout: as one line of JSON, or as the frame it came in. */
export type Output = "json" | "frames";

/** A client that is a program. */
export class ClientProgram implements OtherClient {
  readonly shown = new ShownEvents();
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #done: Promise<unknown>;
  #stderr = "";

  constructor(
    command: readonly string[],
    { output = "json", env = {} }: { output?: Output; env?: Readonly<Record<string, string>> } = {},
  ) {
    this.#child = Bun.spawn([...command], {
      env: { ...process.env, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // curl is a child of its shell: it ends with the group.
      detached: true,
    });
    const take = output === "json" ? jsonLines(this.shown) : frames(this.shown);
    this.#done = Promise.all([
      readText(this.#child.stdout, take),
      readText(this.#child.stderr, (text) => (this.#stderr += text)),
    ]);
  }

  /** Its exit code and what it wrote to stderr, once it has ended. */
  async ended(): Promise<{ code: number; stderr: string }> {
    await this.#done;
    return { code: await this.#child.exited, stderr: this.#stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.ended();
  }
}

async function readText(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const piece of stream) take(decoder.decode(piece, { stream: true }));
}

function jsonLines(shown: ShownEvents): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    // The cast holds: our own programs write nothing else.
    for (const line of lines) shown.take(JSON.parse(line) as ShownEvent);
  };
}

function frames(shown: ShownEvents): (text: string) => void {
  let last = "";
  const parser = createParser({
    onEvent: ({ event = "message", data, id = last }) =>
      shown.take({ event, data, id: (last = id) }),
  });
  return (text) => parser.feed(text);
}
