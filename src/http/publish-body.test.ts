import { afterAll, describe, expect, test } from "bun:test";
import { shown, type ShownRecord } from "../../test/support/outgoing.ts";
import { RawPeer } from "../../test/support/peers.ts";
import { MAX_BODY_BYTES, startRecordServer } from "../../test/support/record-server.ts";
import { HeadgateError } from "../errors.ts";

const server = startRecordServer();
afterAll(() => server[Symbol.asyncDispose]());

const JSON_TYPE = "application/json";
const CLOUD_EVENT = '{"specversion":"1.0","id":"1","source":"/tests","type":"t","data":[1.0]}';
const CLOUD_EVENT_HEADERS = {
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/tests",
  "ce-type": "t",
};

/** What a request is read as: records, or the code and the pointer of its refusal. */
async function read(
  contentType: string | undefined,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<readonly ShownRecord[] | readonly [code: string, pointer: string | undefined]> {
  const type = contentType === undefined ? {} : { "Content-Type": contentType };
  // Bytes, so that fetch adds no type of its own.
  await fetch(server.url, {
    method: "POST",
    headers: { ...type, ...headers },
    body: Buffer.from(body),
  });
  return outcome();
}

function outcome(): readonly ShownRecord[] | readonly [code: string, pointer: string | undefined] {
  const last = server.last();
  return last instanceof HeadgateError ? [last.code, last.details.pointer] : last.map(shown);
}

const plain = (value: string): ShownRecord => ({ topic: "events", key: null, value, headers: [] });

const CLOUD_EVENT_RECORD: ShownRecord = {
  topic: "events",
  key: null,
  value: "[1.0]",
  headers: [
    ["ce_specversion", "1.0"],
    ["ce_id", "1"],
    ["ce_source", "/tests"],
    ["ce_type", "t"],
    ["content-type", JSON_TYPE],
  ],
};

describe("the content type says what is read:", () => {
  test.each<[string, string, readonly ShownRecord[]]>([
    [JSON_TYPE, '{"data":1}', [plain("1")]],
    [JSON_TYPE, ' [{"data":1},{"data":2}] ', [plain("1"), plain("2")]],
    ["Application/JSON; Charset=UTF-8", '{"data":"é"}', [plain('"é"')]],
    ['application/json;charset="utf-8"', '{"data":1}', [plain("1")]],
    ["application/x-ndjson", '{"data":1}\n\n{"data":2}\r\n', [plain("1"), plain("2")]],
    ["application/cloudevents+json; charset=utf-8", CLOUD_EVENT, [CLOUD_EVENT_RECORD]],
    [
      "application/cloudevents-batch+json",
      `[${CLOUD_EVENT},${CLOUD_EVENT}]`,
      [CLOUD_EVENT_RECORD, CLOUD_EVENT_RECORD],
    ],
  ])("%s %s", async (type, body, records) => {
    expect(await read(type, body)).toEqual(records);
  });

  test.each<[string | undefined]>([
    [undefined],
    ["text/plain"],
    ["application/x-www-form-urlencoded"],
    ["multipart/form-data; boundary=x"],
    ["application/jsonp"],
    ["application/json, text/plain"],
    ["json"],
    ["application/cloudevents"],
    ["application/cloudevents+avro"],
    ["application/json; charset=iso-8859-1"],
    ["application/x-ndjson; charset=utf-16"],
    ["application/cloudevents+json; charset=latin1"],
  ])("D4 %s is not supported", async (type) => {
    expect((await read(type, '{"data":1}'))[0]).toBe("unsupported-media-type");
  });

  test.each([["gzip"], ["identity"], ["br"]])(
    "D3 the encoding %s is not supported",
    async (value) => {
      const headers = { "Content-Encoding": value };
      expect((await read(JSON_TYPE, "{}", headers))[0]).toBe("unsupported-media-type");
      const binary = { ...headers, ...CLOUD_EVENT_HEADERS };
      expect((await read("text/plain", "x", binary))[0]).toBe("unsupported-media-type");
    },
  );
});

describe("ce-* headers make any other type the data of a CloudEvent:", () => {
  test.each<[string | undefined]>([
    [undefined],
    ["text/plain"],
    [JSON_TYPE],
    ["application/x-ndjson"],
    ["text/xml; charset=iso-8859-1"],
  ])("%s", async (type) => {
    const body = '{"data": 1.0}\n';
    const [made] = await read(type, body, CLOUD_EVENT_HEADERS);
    expect(made).toMatchObject({ topic: "events", value: body });
    const { headers } = made as ShownRecord;
    expect(new Map(headers).get("content-type")).toBe(type);
  });

  test("what is structured stays structured", async () => {
    const type = "application/cloudevents+json";
    expect(await read(type, CLOUD_EVENT, { ...CLOUD_EVENT_HEADERS, "ce-id": "other" })).toEqual([
      CLOUD_EVENT_RECORD,
    ]);
    expect((await read("application/cloudevents+avro", "x", CLOUD_EVENT_HEADERS))[0]).toBe(
      "unsupported-media-type",
    );
  });

  test("A14 an empty body is an empty value", async () => {
    const [made] = await read(undefined, "", CLOUD_EVENT_HEADERS);
    expect(made).toMatchObject({ value: "" });
  });

  test("D5 bytes beyond ASCII in a header are refused", async () => {
    for (const bytes of [Buffer.from("é"), Buffer.from([0xe9])]) {
      await using peer = await RawPeer.send(
        server.port,
        Buffer.concat([
          Buffer.from("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"),
          Buffer.from("ce-specversion: 1.0\r\nce-source: /\r\nce-type: t\r\nce-id: "),
          bytes,
          Buffer.from("\r\n\r\n"),
        ]),
      );
      await peer.answered();
      expect(outcome()).toEqual(["invalid-body", undefined]);
    }
  });
});

test.each([
  [JSON_TYPE, "", ""],
  [JSON_TYPE, "{", ""],
  [JSON_TYPE, "null", ""],
  [JSON_TYPE, "[]", ""],
  [JSON_TYPE, '{"data":1}{"data":2}', ""],
  [JSON_TYPE, '[{"data":1},{}]', "/1/data"],
  [JSON_TYPE, '[{"data":1},7]', "/1"],
  [JSON_TYPE, "[[]]", "/0"],
  ["application/x-ndjson", "", ""],
  ["application/x-ndjson", '{"data":1}\n{}', "/1/data"],
  ["application/cloudevents+json", "", ""],
  ["application/cloudevents+json", "[]", ""],
  ["application/cloudevents-batch+json", "", ""],
  ["application/cloudevents-batch+json", "[]", ""],
  ["application/cloudevents-batch+json", `[${CLOUD_EVENT},{}]`, "/1/specversion"],
])("D1 D6 %s: %s is refused whole, at %j", async (type, body, pointer) => {
  expect(await read(type, body)).toEqual(["invalid-body", pointer]);
});

test.each([
  [JSON_TYPE],
  ["application/x-ndjson"],
  ["application/cloudevents+json"],
  ["application/cloudevents-batch+json"],
])("D5 %s that is not UTF-8 is refused", async (type) => {
  const body = Buffer.from([...Buffer.from('{"data":"'), 0xc0, 0xa0, ...Buffer.from('"}')]);
  expect(await read(type, body)).toEqual(["invalid-body", ""]);
});

describe("a body that is too large", () => {
  test.each([
    [JSON_TYPE, {}],
    ["application/x-ndjson", {}],
    ["text/plain", CLOUD_EVENT_HEADERS],
  ])("is refused by its length: %s", async (type, headers) => {
    const body = Buffer.alloc(MAX_BODY_BYTES + 1, " ");
    expect((await read(type, body, headers))[0]).toBe("too-large");
    expect((await read(type, body.subarray(1), headers))[0]).not.toBe("too-large");
  });

  test("D3 is refused by what came, where it says no length", async () => {
    const chunk = Buffer.alloc(65_536, " ");
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(chunk),
    });
    const headers = { "Content-Type": JSON_TYPE };
    await fetch(server.url, { method: "POST", headers, body });
    expect(outcome()[0]).toBe("too-large");
  });

  test("D2 a million keys, and a hundred thousand levels, are refused at once", async () => {
    const keys = Array.from({ length: 1_000_000 }, (_, i) => `"${i}":1`).join();
    const nested = `{"data":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    const startedMs = performance.now();
    expect((await read(JSON_TYPE, `{"data":{${keys}}}`))[0]).toBe("too-large");
    expect(await read(JSON_TYPE, nested)).toEqual(["invalid-body", ""]);
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });
});

test("a request's trace goes into every record that has none of its own", async () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const body = '[{"data":1},{"data":2,"headers":{"Traceparent":"mine"}}]';
  const records = await read(JSON_TYPE, body, { traceparent, tracestate: "a=1" });
  expect((records as readonly ShownRecord[]).map(({ headers }) => headers)).toEqual([
    [
      ["traceparent", traceparent],
      ["tracestate", "a=1"],
    ],
    [["Traceparent", "mine"]],
  ]);
});

test("C15 one event for a topic that may not be published to refuses all", async () => {
  const body = '[{"data":1},{"topic":"secret-served","data":2}]';
  expect(await read(JSON_TYPE, body)).toEqual(["forbidden", "/1/topic"]);
});
