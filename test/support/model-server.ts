/** What one request of the model server gets. */
export type Answer =
  /** So many bytes of a stream, in pieces of these sizes, over and over; then it breaks off, ends or hangs. */
  | {
      readonly kind: "stream";
      readonly bytes: number;
      readonly pieces: readonly number[];
      readonly finish: "break" | "end" | "hang";
    }
  | { readonly kind: "status"; readonly status: 401 | 429 | 502 | 503 }
  | { readonly kind: "unreachable" };

/** One thing that the topic holds; only records are seen by subscribers whose filter lets them through. */
export interface ModelRecord {
  readonly type: string;
  readonly data: string;
  readonly isFiltered: boolean;
}

/**
 * A Headgate as its protocol has it, for one subscription: ids are positions, whoever comes back with one
 * gets the rest, and what a filter leaves out moves the position on by heartbeats.
 */
export class ModelServer {
  readonly requests: (string | null)[] = [];
  readonly #records: readonly ModelRecord[];
  readonly #answers: Answer[];
  readonly #lineEnd: "\n" | "\r\n" | "\r";

  constructor({
    records,
    answers,
    lineEnd,
  }: {
    records: readonly ModelRecord[];
    answers: readonly Answer[];
    lineEnd: "\n" | "\r\n" | "\r";
  }) {
    this.#records = records;
    this.#answers = [...answers];
    this.#lineEnd = lineEnd;
  }

  /** What is to be seen, in order. */
  get visible(): readonly string[] {
    return this.#records
      .map(({ type, data, isFiltered }, i) => (isFiltered ? "" : seen(type, data, `p${i + 1}`)))
      .filter((text) => text !== "");
  }

  /** Takes the place of `fetch`. Once its answers are used up it gives whole streams that stay open. */
  readonly fetch = async (_url: string, { headers, signal }: RequestInit): Promise<Response> => {
    const id = new Headers(headers).get("Last-Event-ID");
    this.requests.push(id);
    const answer = this.#answers.shift() ?? {
      kind: "stream",
      bytes: Infinity,
      pieces: [4096],
      finish: "hang",
    };
    if (answer.kind === "unreachable") throw new TypeError("fetch failed");
    if (answer.kind === "status") return new Response("", { status: answer.status });
    const bytes = new TextEncoder().encode(this.#text(Number(id?.slice(1) ?? 0)));
    return new Response(cutStream(bytes.subarray(0, answer.bytes), answer, signal), {
      headers: { "Content-Type": "text/event-stream;charset=utf-8" },
    });
  };

  #text(position: number): string {
    const lines = ["retry: 0", ""];
    if (position > 0) lines.push(`id: p${position}`);
    lines.push("event: connection", "data: {}", "");
    this.#records.slice(position).forEach(({ type, data, isFiltered }, i) => {
      const id = `id: p${position + i + 1}`;
      if (isFiltered) lines.push(id, "event: heartbeat", "data: ", "");
      else {
        lines.push(id, ...(type === "message" ? [] : [`event: ${type}`]));
        lines.push(...data.split("\n").map((line) => `data: ${line}`), "");
      }
    });
    lines.push("event: live", 'data: {"replayed":1}', "", "");
    return lines.join(this.#lineEnd);
  }
}

/** An event as text, to compare. */
export function seen(type: string, text: string, id: string): string {
  return JSON.stringify([id, type, text]);
}

function cutStream(
  bytes: Uint8Array<ArrayBuffer>,
  { pieces, finish }: Extract<Answer, { kind: "stream" }>,
  signal: AbortSignal | null | undefined,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let offset = 0;
  let count = 0;
  return new ReadableStream({
    start: (controller) => {
      signal?.addEventListener("abort", () => controller.error(signal.reason));
    },
    pull: (controller) => {
      const size = pieces[count++ % pieces.length] ?? 1;
      if (offset < bytes.byteLength) {
        controller.enqueue(bytes.slice(offset, (offset += size)));
        return undefined;
      }
      if (finish === "end") controller.close();
      if (finish === "break") controller.error(new TypeError("terminated"));
      return new Promise<void>(() => undefined);
    },
  });
}
