import { z } from "zod";
import { hasControlCharacter } from "../sse/event.ts";

/** Most items in one list parameter: bounds what one subscription can make us index. */
export const MAX_ITEMS = 100;

/** A query parameter. How it is read and what OpenAPI says of it both come from this. */
export type Parameter<T> = {
  readonly description: string;
  /** Before percent-encoding. */
  readonly example: string;
  /** Whether JSON Schema shows the text that is sent, or what it means: a number, a boolean. */
  readonly shows: "text" | "meaning";
  /** Taken as it came where it does not decode: it is judged later, and not by its form. */
  readonly isLenient: boolean;
} & (
  | {
      readonly isList: false;
      /** From the decoded text to its meaning. Its messages say what to use instead. */
      readonly schema: z.ZodType<T, string>;
    }
  | {
      readonly isList: true;
      /** The same for a list's decoded items, of which there are 1 to `MAX_ITEMS`. */
      readonly schema: z.ZodType<T, string[]>;
    }
);

// Kafka's own rule (org.apache.kafka.common.internals.Topic), as in `isTopicName`.
const TOPIC = /^(?!\.\.?$)[A-Za-z0-9._-]{1,249}$/;
const TOPIC_PATTERN = /^(?:\*|(?!\.\.?\*?$)[A-Za-z0-9._-]{1,249}\*?)$/;

const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/;
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
// RFC 3339; a space is a "+" that was not encoded.
const INSTANT =
  /^\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+ -]\d\d:?\d\d))?$/;

/** A place, an instant (milliseconds since 1970), or so long before now. */
const since = z.union(
  [
    z.enum(["latest", "earliest"]),
    z
      .string()
      .regex(DURATION)
      .transform((text) => {
        const [, count, unit = ""] = DURATION.exec(text) ?? [];
        return { agoMs: Number(count) * (UNIT_MS[unit] ?? Number.NaN) };
      }),
    z
      .string()
      .regex(INSTANT)
      .transform((text) => ({ atMs: Date.parse(text.replace(" ", "+")) }))
      .refine(({ atMs }) => !Number.isNaN(atMs)),
  ],
  "use latest, earliest, an ISO 8601 instant or a duration such as 15m",
);

const MAX_NAME_LENGTH = 128;
const nameRule = `use 1 to ${MAX_NAME_LENGTH} characters, none of them control characters`;
const selfName = z
  .string()
  .min(1, nameRule)
  .max(MAX_NAME_LENGTH, nameRule)
  .refine((text) => !hasControlCharacter(text), nameRule);

const PLAIN = { shows: "text", isLenient: false } as const;

const TABLE = {
  topics: listParameter(
    "Topics; `*` at the end of a name matches a prefix. Left out: every topic that is served and that the token allows.",
    "orders,payments*",
    z
      .string()
      .regex(
        TOPIC_PATTERN,
        'use topic names, 1 to 249 of [A-Za-z0-9._-]; "*" may stand at the end',
      ),
  ),
  types: listParameter(
    "Event types; `*` at the end matches a prefix, `message` is an event without a type.",
    "order.*,message",
  ),
  keys: listParameter("Record keys.", "o-1,o-2"),
  channels: listParameter(
    "Channels to join. Left out: none, and then only what names nobody, or the user or client, comes.",
    "sports,news",
  ),
  since: textParameter(
    "Where to begin: `latest`, `earliest` (of the local log), an ISO 8601 instant, or a duration back from now (`30s`, `15m`, `24h`). Not together with `recent`.",
    "15m",
    since,
  ),
  recent: integerParameter("The last so many matching events first, then live.", "5", 0, 1000),
  per: textParameter(
    "`key`: the newest event of each key only, of the newest so many keys. For streams only together with `recent`.",
    "key",
    z.literal("key", "use key"),
  ),
  lastEventId: {
    ...textParameter(
      "Where to go on: the id of the last event that was seen. The header `Last-Event-ID` wins; empty is absent; what is no id is told by a `reset` event.",
      "1~orders~k3f9x~1042.998",
      z.string(),
    ),
    isLenient: true,
  },
  envelope: {
    ...textParameter(
      "Whether `data:` is the record as a JSON object instead of its value.",
      "true",
      z
        .enum(["true", "false"], "use true or false")
        .transform((value) => value === "true")
        .pipe(z.boolean()),
    ),
    shows: "meaning",
  },
  clientId: textParameter(
    "The name by which events are addressed to this client. Left out: made by the server.",
    "till-7",
    z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "use 1 to 64 of [A-Za-z0-9._-]"),
  ),
  userId: textParameter(
    "For development: the user, where no token says who it is.",
    "ann",
    selfName,
  ),
  username: textParameter("For development: the user's name, for people to read.", "Ann", selfName),
  limit: integerParameter("At most so many events.", "10", 1, 1000),
  topic: textParameter(
    "The topic of the events that name none. Left out: SSE_DEFAULT_TOPIC.",
    "orders",
    z.string().regex(TOPIC, "use a topic's name, 1 to 249 of [A-Za-z0-9._-]"),
  ),
} as const satisfies Record<string, Parameter<unknown>>;

export type ParameterName = keyof typeof TABLE;

/** What each parameter means, once read. */
export type Meanings = {
  readonly [N in ParameterName]: (typeof TABLE)[N] extends Parameter<infer T> ? T : never;
};

/** Every query parameter of every endpoint. */
export const PARAMETERS: { readonly [N in ParameterName]: Parameter<Meanings[N]> } = TABLE;

/** The parameters of `POST /events`. */
export const PUBLISH_PARAMETERS = ["topic"] as const satisfies readonly ParameterName[];

function textParameter<T>(description: string, example: string, schema: z.ZodType<T, string>) {
  return { ...PLAIN, description, example, isList: false, schema } as const;
}

function listParameter(description: string, example: string, item = z.string().min(1)) {
  const schema = z.array(item).min(1).max(MAX_ITEMS);
  return { ...PLAIN, description, example, isList: true, schema } as const;
}

function integerParameter(description: string, example: string, min: number, max: number) {
  const rule = `use a whole number from ${min} to ${max}`;
  const schema = z
    .string()
    .regex(/^\d{1,15}$/, rule)
    .transform(Number)
    .pipe(z.int().min(min, rule).max(max, rule));
  return { ...textParameter(description, example, schema), shows: "meaning" } as const;
}
