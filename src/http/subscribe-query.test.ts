import { expect, test } from "bun:test";
import { HeadgateError, topicNotFound } from "../errors.ts";
import type { StartRequest } from "../hub/start-position.ts";
import { Query } from "./query.ts";
import { parseSelf, parseStart, parseSubscription, STREAM_PARAMETERS } from "./subscribe-query.ts";

const SERVED = ["payments", "orders", "orders.eu", "__internal"];
const NOW_MS = Date.UTC(2026, 10, 21, 12);

const query = (text: string): Query =>
  new Query(`http://localhost/events?${text}`, STREAM_PARAMETERS);

const topics = (text: string): readonly string[] => parseSubscription(query(text), SERVED).topics;

function start(
  text: string,
  lastEventId: string | null = null,
  defaultRecent?: number,
): StartRequest {
  return parseStart(query(text), { lastEventId, defaultRecent, nowMs: NOW_MS });
}

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof HeadgateError) return error.code;
    throw error;
  }
  throw new Error("Not refused");
}

test("B14 a topic that may not be read is as unknown as one that does not exist", () => {
  const readable = SERVED.filter((topic) => topic !== "payments");
  const refusalOf = (name: string): unknown => {
    try {
      return parseSubscription(query(`topics=${name}`), readable);
    } catch (error) {
      return error;
    }
  };
  expect(refusalOf("payments")).toEqual(topicNotFound("payments"));
  expect(refusalOf("nothings")).toEqual(topicNotFound("nothings"));
  expect(refusalOf("pay*")).toEqual(topicNotFound("pay*"));
  expect(parseSubscription(query("topics=*"), readable).topics).not.toContain("payments");
});

test("a subscription without any topic is forbidden, and a named one not found", () => {
  expect(refusal(() => parseSubscription(query(""), []))).toBe("forbidden");
  expect(refusal(() => parseSubscription(query("topics=orders"), []))).toBe("topic-not-found");
});

test("topics are those named, by name or prefix, each once and in byte order", () => {
  expect(topics("")).toEqual(["__internal", "orders", "orders.eu", "payments"]);
  expect(topics("topics=payments,orders*,payments")).toEqual(["orders", "orders.eu", "payments"]);
  expect(topics("topics=*")).toHaveLength(4);
});

test.each([["nothing"], ["nothing*"], ["__consumer_offsets"], ["ORDERS"]])(
  "B14 the topic %s, which is not served, is not found",
  (name) => {
    expect(refusal(() => topics(`topics=${name}`))).toBe("topic-not-found");
  },
);

test.each([[".."], ["%2e"], ["a%2Fb"], ["x".repeat(250)], ["a**"], ["ä"], ["a%00"], ["*a"]])(
  "B15 B17 %s cannot be a topic",
  (name) => {
    expect(refusal(() => topics(`topics=${name}`))).toBe("invalid-parameter");
  },
);

test("B15 a topic named a hundred times is one topic", () => {
  expect(topics(`topics=${Array.from({ length: 100 }, () => "orders").join(",")}`)).toEqual([
    "orders",
  ]);
});

test.each([
  ["latest", "latest"],
  ["earliest", "earliest"],
  ["30s", NOW_MS - 30_000],
  ["15m", NOW_MS - 900_000],
  ["24h", NOW_MS - 86_400_000],
  ["2026-11-21", Date.UTC(2026, 10, 21)],
  ["2026-11-21T10:00:00Z", NOW_MS - 7_200_000],
  ["2026-11-21T10:00:00.250Z", NOW_MS - 7_199_750],
  ["2026-11-21T12:00:00+02:00", NOW_MS - 7_200_000],
  ["2026-11-21T12:00:00%2B02:00", NOW_MS - 7_200_000],
])("since=%s is understood", (text, expected) => {
  expect(start(`since=${text}`).since).toBe(expected as StartRequest["since"]);
});

test.each([
  ["yesterday"],
  ["10"],
  ["-5m"],
  ["2026-13-01"],
  ["2026-11-21T10:00:00"],
  [""],
  ["5 m"],
  ["NaN"],
])("B16 since=%s is refused", (text) => {
  expect(refusal(() => start(`since=${text}`))).toBe("invalid-parameter");
});

test("since and recent exclude each other", () => {
  expect(refusal(() => start("since=latest&recent=1"))).toBe("invalid-parameter");
  expect(start("recent=5")).toMatchObject({ recent: 5, since: undefined });
});

test("a default number of recent events counts where the request says nothing else", () => {
  expect(start("", null, 10).recent).toBe(10);
  expect(start("recent=3", null, 10).recent).toBe(3);
  expect(start("since=earliest", null, 10).recent).toBeUndefined();
});

test("the newest of each key comes only where recent events come", () => {
  expect(start("recent=5&per=key").per).toBe("key");
  expect(start("recent=0&per=key")).toMatchObject({ recent: 0, per: "key" });
  expect(start("per=key", null, 10)).toMatchObject({ recent: 10, per: "key" });
  expect(start("recent=5").per).toBeUndefined();
  expect(refusal(() => start("per=key"))).toBe("invalid-parameter");
  expect(refusal(() => start("since=15m&per=key", null, 10))).toBe("invalid-parameter");
  expect(refusal(() => start("recent=5&per=topic"))).toBe("invalid-parameter");
  expect(refusal(() => start("recent=5&per="))).toBe("invalid-parameter");
});

test("B12 the header Last-Event-ID beats the parameter; an empty one is absent", () => {
  expect(start("lastEventId=b", "a").lastEventId).toBe("a");
  expect(start("lastEventId=b", "").lastEventId).toBe("b");
  expect(start("lastEventId=", null).lastEventId).toBeUndefined();
});

test("B13 of a header that is repeated the first one counts", () => {
  expect(start("", "a, b").lastEventId).toBe("a");
});

test("B5 a lastEventId that does not decode is taken as it came, to be reset", () => {
  expect(start("lastEventId=%ff%00").lastEventId).toBe("%ff%00");
});

test("types are names and prefixes", () => {
  const { types } = parseSubscription(query("types=order.*,user:login,*"), SERVED);
  expect(types).toEqual({ exact: new Set(["user:login"]), prefixes: ["order.", ""] });
});

test.each([
  ["clientId=a/b"],
  ["clientId="],
  [`userId=${"x".repeat(129)}`],
  [`clientId=${"x".repeat(65)}`],
  ["userId=%0D"],
  ["username="],
])("the name in %s is refused", (text) => {
  expect(refusal(() => parseSelf(query(text)))).toBe("invalid-parameter");
});
