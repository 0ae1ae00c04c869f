import { describe, expect, test } from "bun:test";
import { connect } from "../../src/client/connect.ts";
import { StreamError } from "../../src/client/stream.ts";

type Shown = readonly [type: string, data: string, id: string];

/** What our client shows of a stream that comes in these pieces. Over TCP nobody could say where they end. */
async function shownOf(pieces: readonly Uint8Array[]): Promise<Shown[]> {
  let sent = 0;
  const body = new ReadableStream({
    pull(controller): void {
      const piece = pieces[sent++];
      if (piece) controller.enqueue(piece);
      else controller.close();
    },
  });
  const headers = { "Content-Type": "text/event-stream" };
  const answer = (): Promise<Response> => Promise.resolve(new Response(body, { headers }));
  const shown: Shown[] = [];
  const stream = connect({ url: "http://localhost", fetch: answer, maxReconnectAttempts: 0 });
  try {
    for await (const { type, text, id } of stream) shown.push([type, text, id]);
  } catch (error) {
    // The end of the stream, after which it was told not to come back.
    if (!(error instanceof StreamError && error.reason === "ended")) throw error;
  }
  return shown;
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.byteLength / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

/** [WHATWG HTML §9.2.5, §9.2.6] One rule each. */
const RULES: readonly (readonly [rule: string, stream: string | Uint8Array, ...Shown[]])[] = [
  ["a byte order mark at the start is left out", "\uFEFFdata: a\n\n", ["message", "a", ""]],
  [
    "one anywhere else is a character",
    "data: \uFEFFa\n\n\uFEFFdata: b\n\ndata: c\n\n",
    ["message", "\uFEFFa", ""],
    ["message", "c", ""],
  ],
  ["lines end with LF", "event: x\ndata: a\ndata: b\n\n", ["x", "a\nb", ""]],
  ["lines end with CRLF", "event: x\r\ndata: a\r\ndata: b\r\n\r\n", ["x", "a\nb", ""]],
  ["lines end with CR", "event: x\rdata: a\rdata: b\r\r", ["x", "a\nb", ""]],
  ["lines end as each likes", "event: x\rdata: a\ndata: b\r\n\r\n", ["x", "a\nb", ""]],
  [
    "nothing else ends a line",
    "data: a\u2028b\u0085c\vd\n\n",
    ["message", "a\u2028b\u0085c\vd", ""],
  ],
  [
    "empty lines more are nothing",
    "data: a\n\n\n\ndata: b\n\n",
    ["message", "a", ""],
    ["message", "b", ""],
  ],
  ["characters of several bytes stay whole", "data: é漢😀\n\n", ["message", "é漢😀", ""]],
  [
    "bytes that are no UTF-8 become U+FFFD",
    Uint8Array.from([...Buffer.from("data: a"), 0xff, ...Buffer.from("b\n\n")]),
    ["message", "a\uFFFDb", ""],
  ],
  [
    "one space after the colon is left out",
    "data:a\ndata: b\ndata:  c\n\n",
    ["message", "a\nb\n c", ""],
  ],
  ["a tab is not", "data:\ta\n\n", ["message", "\ta", ""]],
  ["only the first colon counts", "data: a: b\n\n", ["message", "a: b", ""]],
  ["empty data is data", "data:\n\n", ["message", "", ""]],
  [
    "a line without a colon is a field without a value",
    "data\n\ndata\ndata\n\n",
    ["message", "", ""],
    ["message", "\n", ""],
  ],
  ["NUL is a character of data", "data: a\0b\n\n", ["message", "a\0b", ""]],
  ["comments are left out", ":\ndata: a\n: data: b\ndata: c\n\n: d\n\n", ["message", "a\nc", ""]],
  [
    "fields that nobody knows are left out",
    "Data: a\n data: b\ncolor: c\ndata: d\n\n",
    ["message", "d", ""],
  ],
  ["fields come in any order", "data: a\nid: 1\nevent: x\n\n", ["x", "a", "1"]],
  ["the last event name counts", "event: x\nevent: y\ndata: a\n\n", ["y", "a", ""]],
  ["an empty event name is message", "event: x\nevent:\ndata: a\n\n", ["message", "a", ""]],
  [
    "an event without data is none, and names none",
    "event: x\n\ndata: a\n\n",
    ["message", "a", ""],
  ],
  ["an event that has not ended is none", "data: a\n\nid: 1\ndata: b\n", ["message", "a", ""]],
  ["an id stays", "id: 1\ndata: a\n\ndata: b\n\n", ["message", "a", "1"], ["message", "b", "1"]],
  ["an id without data stays", "id: 1\n\ndata: a\n\n", ["message", "a", "1"]],
  [
    "an empty id takes it away",
    "id: 1\ndata: a\n\nid\ndata: b\n\n",
    ["message", "a", "1"],
    ["message", "b", ""],
  ],
  [
    "an id with NUL is none",
    "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n",
    ["message", "a", "1"],
    ["message", "b", "1"],
  ],
  ["an id can hold any other character", "id: é😀\ndata: a\n\n", ["message", "a", "é😀"]],
  ["retry shows no event", "retry: 5\n\nretry: x\n\nretry\n\ndata: a\n\n", ["message", "a", ""]],
];

describe("however a stream is cut into pieces", () => {
  test.each([...RULES])("%s", async (_, stream, ...shown) => {
    const bytes = Buffer.from(stream);
    for (const size of [bytes.byteLength, 1, 2, 3]) {
      expect(await shownOf(cut(bytes, size))).toEqual(shown);
    }
  });
});
