import { expect, test } from "bun:test";
import { HeadgateError } from "../errors.ts";
import { isTopicName } from "../log/position.ts";
import { PARAMETERS } from "./parameters.ts";
import { Query } from "./query.ts";

const KNOWN = ["topics", "keys", "since", "recent", "lastEventId", "envelope"] as const;
const query = (text: string): Query => new Query(`http://localhost/events?${text}`, KNOWN);

function refused(read: () => unknown): string | undefined {
  try {
    read();
  } catch (error) {
    if (error instanceof HeadgateError && error.code === "invalid-parameter") {
      return error.details.parameter;
    }
    throw error;
  }
  throw new Error("Not refused");
}

test("B15 a list is split before it is decoded", () => {
  expect(query("keys=a%2Cb,c+d").get("keys")).toEqual(["a,b", "c d"]);
  expect(query("since=latest").get("keys")).toBeUndefined();
});

test("B15 an empty item, and more than 100, are refused", () => {
  expect(refused(() => query("topics=").get("topics"))).toBe("topics");
  expect(refused(() => query("topics=a,,b").get("topics"))).toBe("topics");
  const hundred = Array.from({ length: 100 }, (_, i) => `t${i}`).join(",");
  expect(query(`topics=${hundred}`).get("topics")).toHaveLength(100);
  expect(refused(() => query(`topics=${hundred},x`).get("topics"))).toBe("topics");
});

test.each([
  ["x=1", "x"],
  ["__proto__=1", "__proto__"],
  ["constructor=1", "constructor"],
  ["topics=a&topics=b", "topics"],
  ["Topics=a", "Topics"],
])("B16 the query %s is refused, and the parameter named", (text, parameter) => {
  expect(refused(() => query(text))).toBe(parameter);
});

test("B16 a cache buster, and empty pairs, are ignored", () => {
  expect(query("_=123&&since=latest&").get("since")).toBe("latest");
});

test("a token is not for the routes: it is ignored, even where it does not decode", () => {
  expect(query("token=a&since=latest&token=%ff").get("since")).toBe("latest");
});

test("B16 no refusal repeats the value of a parameter that is not known", () => {
  const refusal = (): unknown => query("tokn=SECRET");
  expect(refusal).toThrow(/Unknown parameter "tokn"; known: topics, keys/);
  expect(refusal).not.toThrow(/SECRET/);
});

test("a refusal says which value is wrong, cut at 100 characters, and what to use", () => {
  expect(() => query("recent=many").get("recent")).toThrow(
    'Parameter "recent" is "many"; use a whole number from 0 to 1000',
  );
  expect(() => query("since=").get("since")).toThrow(
    'Parameter "since" is ""; use latest, earliest, an ISO 8601 instant or a duration such as 15m',
  );
  expect(() => query(`topics=orders,${"x".repeat(300)}`).get("topics")).toThrow(
    `Parameter "topics" has the item "${"x".repeat(100)}…"; use topic names`,
  );
});

test("B5 a lastEventId that does not decode is taken as it came", () => {
  expect(query("lastEventId=%ff%00").get("lastEventId")).toBe("%ff%00");
  expect(query("lastEventId=a%7Eb").get("lastEventId")).toBe("a~b");
});

test("B5 what is not percent-encoded UTF-8 is refused", () => {
  expect(refused(() => query("topics=%ff").get("topics"))).toBe("topics");
  expect(refused(() => query("since=%").get("since"))).toBe("since");
});

test("a percent sign is decoded once, never twice", () => {
  expect(query("keys=%252e").get("keys")).toEqual(["%2e"]);
});

test.each([["-1"], ["1.0"], ["1e2"], ["0x10"], [""], ["1001"], ["99999999999999999999"]])(
  "B15 the number %j is refused",
  (text) => {
    expect(refused(() => query(`recent=${text}`).get("recent"))).toBe("recent");
  },
);

test("a flag is true or false", () => {
  expect(query("envelope=true").get("envelope")).toBe(true);
  expect(query("envelope=false").get("envelope")).toBe(false);
  expect(query("").get("envelope")).toBeUndefined();
  expect(refused(() => query("envelope=1").get("envelope"))).toBe("envelope");
});

test.each([
  "a",
  ".",
  "..",
  "...",
  ".a",
  "a.b_c-D9",
  "",
  "ä",
  "a b",
  "x".repeat(249),
  "x".repeat(250),
])("%p is a topic's name to the parameters where it is one to Kafka", (name) => {
  expect(PARAMETERS.topic.schema.safeParse(name).success).toBe(isTopicName(name));
  for (const text of [name, `${name}*`]) {
    const isPattern = isTopicName(name) || text === "*";
    expect(PARAMETERS.topics.schema.safeParse([text]).success).toBe(isPattern);
  }
});
