import { expect, test } from "bun:test";
import { HeadgateError } from "../errors.ts";
import { Query } from "./query.ts";

const KNOWN = ["topics", "since", "recent", "envelope"];
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
  expect(query("topics=a%2Cb,c+d").list("topics")).toEqual(["a,b", "c d"]);
  expect(query("since=latest").list("topics")).toBeUndefined();
});

test("B15 an empty item, and more than 100, are refused", () => {
  expect(refused(() => query("topics=").list("topics"))).toBe("topics");
  expect(refused(() => query("topics=a,,b").list("topics"))).toBe("topics");
  const hundred = Array.from({ length: 100 }, (_, i) => `t${i}`).join(",");
  expect(query(`topics=${hundred}`).list("topics")).toHaveLength(100);
  expect(refused(() => query(`topics=${hundred},x`).list("topics"))).toBe("topics");
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
  expect(query("_=123&&since=latest&").text("since")).toBe("latest");
});

test("B5 what is not percent-encoded UTF-8 is refused", () => {
  expect(refused(() => query("topics=%ff").list("topics"))).toBe("topics");
  expect(refused(() => query("since=%").text("since"))).toBe("since");
});

test("a percent sign is decoded once, never twice", () => {
  expect(query("topics=%252e").list("topics")).toEqual(["%2e"]);
});

test.each([["-1"], ["1.0"], ["1e2"], ["0x10"], [""], ["1001"], ["99999999999999999999"]])(
  "B15 the number %j is refused",
  (text) => {
    expect(refused(() => query(`recent=${text}`).integer("recent", { min: 0, max: 1000 }))).toBe(
      "recent",
    );
  },
);

test("a flag is true or false", () => {
  expect(query("envelope=true").flag("envelope")).toBe(true);
  expect(query("").flag("envelope")).toBe(false);
  expect(refused(() => query("envelope=1").flag("envelope"))).toBe("envelope");
});
