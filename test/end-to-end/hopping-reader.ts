import { createParser, type EventSourceMessage } from "eventsource-parser";
import type { Numbered } from "./numbered-records.ts";

/** A client that streams, drops and comes back on any instance, and checks every number it is given. */
export class HoppingReader {
  readonly resets: { reason: string; topics: string[] }[] = [];
  readonly failures: string[] = [];
  /** Next number by topic, partition and producer. */
  readonly next = new Map<string, number>();
  received = 0;
  #lastId = "";
  #isStopped = false;
  #abort = new AbortController();
  readonly #urls: readonly string[];
  readonly #random: () => number;
  readonly #maxStayMs: number;

  constructor(options: { urls: readonly string[]; random: () => number; maxStayMs: number }) {
    this.#urls = options.urls;
    this.#random = options.random;
    this.#maxStayMs = options.maxStayMs;
  }

  /** Reads until it is stopped. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      this.#abort = new AbortController();
      const url = this.#urls[Math.floor(this.#random() * this.#urls.length)];
      const leave = setTimeout(() => this.#abort.abort(), this.#random() * this.#maxStayMs);
      try {
        await this.#read(`${url}/events?since=earliest`);
      } catch {
        // The instance is gone, or we left: come back, elsewhere perhaps.
        await Bun.sleep(50);
      } finally {
        clearTimeout(leave);
      }
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#abort.abort();
  }

  async #read(url: string): Promise<void> {
    const headers = this.#lastId === "" ? {} : { "Last-Event-ID": this.#lastId };
    const response = await fetch(url, { headers, signal: this.#abort.signal });
    if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
    const parser = createParser({ onEvent: (event) => this.#onEvent(event) });
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      if (this.#abort.signal.aborted) return;
      parser.feed(decoder.decode(chunk, { stream: true }));
    }
  }

  #onEvent({ event, data, id }: EventSourceMessage): void {
    if (event === "reset") {
      // The cast holds: docs/protocol.md.
      const reset = JSON.parse(data) as { reason: string; topics: string[] };
      this.resets.push(reset);
      for (const key of this.next.keys()) {
        if (reset.topics.some((topic) => key.startsWith(`${topic}/`))) this.next.delete(key);
      }
    } else if (event === undefined) {
      this.#onRecord(data);
    }
    if (id) this.#lastId = id;
  }

  #onRecord(data: string): void {
    // The cast holds: only numbered records are produced.
    const { topic, partition, producer, n } = JSON.parse(data) as Numbered;
    const key = `${topic}/${partition}/${producer}`;
    const expected = this.next.get(key) ?? 0;
    if (n !== expected) this.failures.push(`${key}: ${n} came where ${expected} was next`);
    this.next.set(key, n + 1);
    this.received += 1;
  }
}
