import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { CLIENTS } from "./other-clients/clients.ts";
import { CutProxy } from "./support/cut-proxy.ts";
import type { ClientStarter, ShownEvent } from "./support/other-client.ts";
import { type LocalServer, type Settings, startLocalServer } from "./support/server.ts";

// Go modules, Python packages and browsers take their time where nothing is cached.
setDefaultTimeout(120_000);

/** What a browser's EventSource shows only to those who ask for it by name. */
const TYPES = [
  "message",
  "order.created",
  "binary",
  "delete",
  "connection",
  "live",
  "reset",
  "skipped",
  "heartbeat",
  "close",
];

/** Pages are of another origin; clients that do as they are told come back soon. */
const SETTINGS: Settings = { SSE_CORS_ORIGIN: "*", SSE_RETRY_MS: "100" };

type Value = string | Uint8Array | null;

function publish(server: LocalServer, value: Value, type?: string): Promise<unknown> {
  return server.headgate.publishRecords([
    {
      topic: "events",
      key: Buffer.from("k"),
      value: typeof value === "string" ? Buffer.from(value) : value,
      headers: type === undefined ? [] : [["type", Buffer.from(type)]],
    },
  ]);
}

const dataOf = (events: readonly ShownEvent[]): string[] => events.map(({ data }) => data);

/** The ids of so many events of the one partition, after the id that a stream began with. */
function idsAfter(start: string, count: number): string[] {
  const [, head = "", offset = ""] = /^(.*~)(\d+)$/.exec(start) ?? [];
  return Array.from({ length: count }, (_, i) => `${head}${Number(offset) + i + 1}`);
}

for (const kind of CLIENTS) {
  describe.skipIf(!kind.isAvailable())(kind.name, () => {
    let clients: ClientStarter;

    beforeAll(async () => {
      clients = await kind.start();
    });

    afterAll(() => clients[Symbol.asyncDispose]());

    test("each event comes before the next is published, with its type, data and id", async () => {
      await using server = await startLocalServer(SETTINGS);
      await using client = await clients.open(`${server.url}/events`, TYPES);
      const { shown } = client;
      const start = (await shown.nth("live", 1)).id;
      const records: readonly [Value, string | undefined, event: string, data: string][] = [
        ['{"n":9007199254740993}', undefined, "message", '{"n":9007199254740993}'],
        ["{}", "order.created", "order.created", "{}"],
        ["", "order.created", "order.created", ""],
        [new Uint8Array([0, 255]), undefined, "binary", "AP8="],
        [null, undefined, "delete", '"k"'],
        ["long ".repeat(10_000), undefined, "message", "long ".repeat(10_000)],
        ["last", undefined, "message", "last"],
      ];
      for (const [i, [value, type]] of records.entries()) {
        await publish(server, value, type);
        await shown.recordsUpTo(i + 1);
      }
      expect(shown.records.map(({ event, data }) => [event, data])).toEqual(
        records.map(([, , event, data]) => [event, data]),
      );
      expect(shown.records.map(({ id }) => id)).toEqual(idsAfter(start, records.length));
    });

    test("A19 cut in the middle of an event it comes back with its last id and gets exactly the rest, in order", async () => {
      await using server = await startLocalServer(SETTINGS);
      await using proxy = await CutProxy.start(server.port);
      await using client = await clients.open(`${proxy.url}/events`, TYPES);
      const { shown } = client;
      const start = (await shown.nth("live", 1)).id;
      for (const value of ["1", "2", "3"]) await publish(server, value);
      await shown.recordsUpTo(3);
      // Nothing that gzip makes much shorter: half of it is on its way when the line is cut.
      const long = randomBytes(24_000).toString("base64");
      proxy.cutAfter(16_000);
      await publish(server, long, "order.created");
      await proxy.wasCut();
      for (const value of ["5", "6", "7"]) await publish(server, value);
      await proxy.hasRefused(1);
      proxy.up();
      await shown.recordsUpTo(7);
      await publish(server, "8");
      await shown.recordsUpTo(8);
      expect(dataOf(shown.records)).toEqual(["1", "2", "3", long, "5", "6", "7", "8"]);
      expect(shown.records.map(({ id }) => id)).toEqual(idsAfter(start, 8));
      const [, ...later] = shown.named("connection");
      expect(later.map(({ id }) => id)).toEqual([shown.records[2]?.id ?? ""]);
      expect(JSON.parse(later[0]?.data ?? "")).toMatchObject({ resumed: true });
      expect(shown.named("reset")).toEqual([]);
    });

    test("after a clean end it comes back with its last id and gets exactly the rest", async () => {
      await using server = await startLocalServer({
        ...SETTINGS,
        SSE_MAX_CONNECTION_AGE: "300",
        SSE_CLEANUP_INTERVAL: "20",
      });
      await using client = await clients.open(`${server.url}/events`, TYPES);
      const { shown } = client;
      const start = (await shown.nth("live", 1)).id;
      const sent: string[] = [];
      for (const round of [1, 2]) {
        const { data } = await shown.nth("close", round);
        expect(JSON.parse(data)).toEqual({ reason: "max-age", reconnect: true });
        sent.push(`${round}`);
        await publish(server, `${round}`);
      }
      await shown.recordsUpTo(sent.length);
      expect(dataOf(shown.records)).toEqual(sent);
      expect(shown.records.map(({ id }) => id)).toEqual(idsAfter(start, sent.length));
      for (const { data } of shown.named("connection").slice(1)) {
        expect(JSON.parse(data)).toMatchObject({ resumed: true });
      }
    });

    test("data of several lines, whichever way they end, comes with its lines", async () => {
      await using server = await startLocalServer(SETTINGS);
      await using client = await clients.open(`${server.url}/events`, TYPES);
      await client.shown.nth("live", 1);
      const values = [
        "LF\nCR\rCRLF\r\nlast",
        "\nafter an empty line\n\n\nafter two\n",
        '{\n  "indented": 1\n}',
        "id: 5\nevent: x\nretry: 1\n: no comment\ndata",
        "\r\n\r\n",
      ];
      for (const value of values) await publish(server, value);
      const records = await client.shown.recordsUpTo(values.length);
      expect(dataOf(records)).toEqual(values.map((value) => value.replaceAll(/\r\n|\r/g, "\n")));
    });

    test("characters beyond the BMP, combined ones, right to left and those that end lines elsewhere come whole", async () => {
      await using server = await startLocalServer(SETTINGS);
      await using client = await clients.open(`${server.url}/events`, TYPES);
      await client.shown.nth("live", 1);
      const values = [
        "😀 👩‍👩‍👧‍👦 \u{1F3F3}\uFE0F\u200D\u{1F308} \u{10FFFF}",
        "e\u0301 is not é; n\u0303\u0323",
        "שלום \u202Eabc\u202C مرحبا",
        // What Python's str.splitlines, or JavaScript's parser, takes for the end of a line.
        "a\u2028b\u2029c\u0085d\u000Be\u000Cf\u001Cg\u001Dh\u001Ei",
        "\uFEFFwith what looks like a byte order mark",
        // Every character lies across some border of pieces, wherever a client cuts them.
        "x".concat("😀é漢".repeat(5_000)),
      ];
      for (const value of values) await publish(server, value);
      const records = await client.shown.recordsUpTo(values.length);
      expect(dataOf(records)).toEqual(values);
    });
  });
}
