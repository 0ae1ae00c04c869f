import { z } from "zod";
import { Claims } from "./auth/claims.ts";
import { parseCidr } from "./cidr.ts";

/** Longest delay of setTimeout: more fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A value as the environment holds it (text), and what it means. */
export type Value<T> = z.ZodType<T, string>;

/** One or more characters. */
export const text: Value<string> = z.string().min(1, "expected a text");

/** `true` or `false`. */
export const flag: Value<boolean> = z.stringbool({
  truthy: ["true", "1"],
  falsy: ["false", "0"],
  error: "expected true or false",
});

/** A whole number in decimal digits. */
export function integer(min: number, max: number): Value<number> {
  const expected = `expected a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^-?\d{1,15}$/, expected)
    .transform(Number)
    .refine((value) => value >= min && value <= max, expected);
}

/** Milliseconds that a timer can wait for. */
export function milliseconds(min: number): Value<number> {
  return integer(min, MAX_TIMER_MS);
}

const DAY_MS = 86_400_000;
const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS };

/** `30s`, `15m`, `24h`, `7d`; in milliseconds. */
export const duration: Value<number> = z
  .string()
  .regex(/^[1-9]\d{0,8}[smhd]$/, "expected a duration such as 30s, 15m, 24h or 7d")
  .transform((value) => Number(value.slice(0, -1)) * (UNIT_MS[value.slice(-1)] ?? Number.NaN))
  .refine((ms) => ms <= 36_500 * DAY_MS, "expected at most a hundred years");

const UNIT_BYTES: Record<string, number> = {
  "": 1,
  KiB: 1_024,
  MiB: 1_024 ** 2,
  GiB: 1_024 ** 3,
  TiB: 1_024 ** 4,
};

/** Bytes: `1048576`, `256KiB`, `1 MiB`, `2GiB`. */
export function bytes(min: number, max: number): Value<number> {
  const expected = `expected bytes from ${min} to ${max}, such as 1048576, 256KiB or 1 MiB`;
  return z
    .string()
    .regex(/^\d{1,15} ?(?:[KMGT]iB)?$/, expected)
    .transform((value) => {
      const digits = /^\d+/.exec(value)?.[0] ?? "";
      return Number(digits) * (UNIT_BYTES[value.slice(digits.length).trim()] ?? Number.NaN);
    })
    .refine((value) => value >= min && value <= max, expected);
}

/** One of some words, in any case; the meaning is in lower case. */
export function oneOf<const W extends string>(...words: readonly W[]): Value<W> {
  return z
    .string()
    .toLowerCase()
    .pipe(z.enum(words, { error: `expected one of ${words.join(", ")}` }));
}

/** Items between commas; spaces around them do not count, empty and repeated ones are refused. */
function commaList(check: (item: string) => string | undefined): Value<string[]> {
  return z.string().transform((value, context) => {
    const items = value.split(",").map((item) => item.trim());
    for (const [index, item] of items.entries()) {
      const fault =
        item === ""
          ? "expected no empty item"
          : items.indexOf(item) === index
            ? check(item)
            : `expected ${JSON.stringify(item)} once`;
      if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
    }
    return items;
  });
}

/** Kafka topics that may be served. */
export const topics = commaList(topicFault);

export const topic: Value<string> = z.string().superRefine((name, context) => {
  const fault = topicFault(name);
  if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
});

function topicFault(name: string): string | undefined {
  // Kafka's own rule (org.apache.kafka.common.internals.Topic).
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(name) || name === "." || name === "..") {
    return "expected topic names of 1 to 249 characters of A-Z a-z 0-9 . _ -, neither . nor ..";
  }
  return name.startsWith("__") ? "expected no internal topics (__…)" : undefined;
}

/** Each costs a sketch in each of 240 steps. */
const MAX_PATHS = 16;

/** Names of members (or indexes of items) from a JSON document's top down, with dots between them. */
export const jsonPaths = commaList((path) =>
  /^[\w$-]{1,64}(?:\.[\w$-]{1,64}){0,7}$/.test(path)
    ? undefined
    : "expected paths of 1 to 8 names with dots between them, such as payload.times",
).refine((paths) => paths.length <= MAX_PATHS, `expected at most ${MAX_PATHS} paths`);

/** `host:port` of Kafka brokers. kafkajs splits at the first colon, so an IPv6 address needs a name. */
export const brokers = commaList((broker) => {
  const [host = "", port = "", ...rest] = broker.split(":");
  const portIsGood = /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535;
  return /^[A-Za-z0-9._-]+$/.test(host) && portIsGood && rest.length === 0
    ? undefined
    : "expected host:port items, such as kafka-1:9092,kafka-2:9092";
});

/** Names of the header `Host`, without ports, in lower case. */
export const hostNames = commaList((name) =>
  /^[A-Za-z0-9._-]+$/.test(name) || /^\[[0-9A-Fa-f:.]+\]$/.test(name)
    ? undefined
    : "expected host names without ports, such as events.example.com or [2001:db8::1]",
).transform((names) => names.map((name) => name.toLowerCase()));

/** A name in Kafka: a client id or the start of a group's name. */
export const kafkaName: Value<string> = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,200}$/, "expected 1 to 200 characters of A-Z a-z 0-9 . _ -");

/** Ranges of addresses: `10.0.0.0/8`, `2001:db8::/32`. */
export const cidrs = commaList((range) =>
  parseCidr(range) ? undefined : "expected CIDR ranges, such as 10.0.0.0/8 or 2001:db8::/32",
).transform((ranges) => ranges.map(parseCidr).filter((range) => range !== undefined));

/** `*`, or origins as browsers send them [RFC 6454 §6.2]. */
export const origins = commaList((origin) =>
  origin === "*" || (URL.canParse(origin) && isOrigin(origin))
    ? undefined
    : "expected origins as browsers send them, such as https://app.example.com, or *",
).transform((list, context) => {
  if (!list.includes("*")) return list;
  if (list.length > 1) context.addIssue({ code: "custom", message: "expected * alone" });
  return "any" as const;
});

function isOrigin(url: string): boolean {
  const { origin, protocol } = new URL(url);
  return origin === url && (protocol === "http:" || protocol === "https:");
}

/** Events a second: 0, or more, also parts of one. */
export const rate: Value<number> = z
  .string()
  .regex(/^\d{1,9}(?:\.\d{1,6})?$/, "expected events a second, such as 10 or 0.5")
  .transform(Number);

/** A secret of HMAC [RFC 7518 §3.2]. */
export const hmacSecret: Value<string> = text.refine(
  // Whoever signs by a public key as a secret signs by what everybody knows.
  (secret) => !secret.includes("-----BEGIN "),
  "expected a secret, not a PEM: public keys are JWT_PUBLIC_KEY",
);

export const httpUrl: Value<string> = z.url({
  protocol: /^https?$/,
  error: "expected an http or https URL",
});

/** The claim `headgate` as JSON. */
export const claims: Value<Claims> = z
  .string()
  .transform((json, context): unknown => {
    try {
      return JSON.parse(json);
    } catch {
      context.addIssue({ code: "custom", message: "expected JSON" });
      return z.NEVER;
    }
  })
  .pipe(Claims);
