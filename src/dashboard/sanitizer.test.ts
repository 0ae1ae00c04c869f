import { describe, expect, test } from "bun:test";
import type { SourceStatus } from "../log/source.ts";
import { createSanitizer } from "./sanitizer.ts";

const names = ["kafka-1", "[::1]", "headgate-prod"];
const shown = ["orders", "orders.created"];
const sanitizer = createSanitizer({ isSanitized: true, names, shown });

describe("hosts and addresses are taken out of errors", () => {
  test.each([
    ["connect ECONNREFUSED 127.0.0.1:9092", "connect ECONNREFUSED hidden"],
    ["connect ECONNREFUSED ::1:9092", "connect ECONNREFUSED hidden"],
    ["connect EHOSTUNREACH [2001:db8::5]:9092 now", "connect EHOSTUNREACH hidden now"],
    ["no route to 10.1.2.3.", "no route to hidden."],
    ["no route to fe80::1, gone", "no route to hidden, gone"],
    ["getaddrinfo ENOTFOUND broker", "getaddrinfo ENOTFOUND hidden"],
    ["getaddrinfo EAI_AGAIN broker-2", "getaddrinfo EAI_AGAIN hidden"],
    ["Connection timeout (broker broker-2:9092)", "Connection timeout (broker hidden)"],
    ["kafka-1 has gone away", "hidden has gone away"],
    ["lost kafka-1.internal.example:9093", "lost hidden"],
    ["certificate of b-1.msk.example is old", "certificate of hidden is old"],
    [
      "Host: broker. is not in the cert's altnames: DNS:other, IP Address:10.0.0.1",
      "Host: hidden is not in the cert's altnames: DNS:hidden, IP Address:hidden",
    ],
    ["group headgate-prod-3f9a is unknown", "group hidden is unknown"],
    ["https://user@schema.example:8081/x", "https://user@hidden/x"],
  ])("%s", (text, expected) => {
    expect(sanitizer.text(text)).toBe(expected);
  });

  test.each([
    "The request timed out",
    "Topic orders.created is not there; orders/3 has 1.5 s of lag",
    "Not authorized to access topics: [Topic authorization failed]",
    "This server does not host this topic-partition",
    "kafka-10 and my-kafka-1 are other names",
  ])("and nothing else: %s", (text) => {
    expect(sanitizer.text(text)).toBe(text);
  });

  test("in a time that grows with the text", () => {
    const startedMs = performance.now();
    for (const piece of ["a", "a.", "1:", "[", "::1 ", "Host: ", "kafka-1."]) {
      sanitizer.text(piece.repeat(20_000));
    }
    expect(performance.now() - startedMs).toBeLessThan(2000);
  });
});

const STATUS: SourceStatus = {
  mode: "kafka",
  producer: { connected: false },
  consumer: {
    connected: false,
    groupId: "headgate-prod-3f9a",
    lastError: "connect ECONNREFUSED 10.0.0.7:9092",
    partitions: [
      { topic: "orders", partition: 0, offset: 1, highWatermark: 2, lag: 1 },
      {
        topic: "orders",
        partition: 1,
        offset: 1,
        highWatermark: 2,
        lag: 1,
        lastError: "no leader at kafka-1:9092",
      },
    ],
  },
};

test("a status says everything but the group and the hosts", () => {
  const { consumer, ...rest } = sanitizer.status(STATUS);
  expect(rest).toEqual({ mode: "kafka", producer: { connected: false } });
  expect(consumer).toMatchObject({
    groupId: "hidden",
    lastError: "connect ECONNREFUSED hidden",
    partitions: [STATUS.consumer.partitions[0], { lag: 1, lastError: "no leader at hidden" }],
  });
});

test("where there is no group, none is hidden", () => {
  const { consumer } = STATUS;
  const embedded = { ...STATUS, consumer: { ...consumer, groupId: null } };
  expect(sanitizer.status(embedded).consumer.groupId).toBeNull();
});

test("where nothing is to be hidden, everything is as it is", () => {
  const open = createSanitizer({ isSanitized: false, names, shown });
  expect(open.status(STATUS)).toBe(STATUS);
  expect(open.text("kafka-1:9092")).toBe("kafka-1:9092");
});
