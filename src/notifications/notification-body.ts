import { z } from "zod";
import { HeadgateError, quote } from "../errors.ts";
import {
  isReservedHeader,
  MAX_HEADER_NAME_LENGTH,
  MAX_HEADERS,
} from "../publishing/event-rules.ts";
import { pointerTo } from "../publishing/json-pointer.ts";
import { hasControlCharacter } from "../sse/event.ts";
import { NOTIFICATION_TARGETS } from "./arguments.ts";
import { type KindEntry, NOTIFICATION_KINDS, type NotificationKind } from "./kinds.ts";

/** Objects in objects: writing a hundred thousand of them as JSON again takes Bun more than a second. */
const MAX_DEPTH = 1000;

/** Marks what no record can carry (`invalid-event`), beside what is no notification (`invalid-body`). */
const UNPUBLISHABLE = { isUnpublishable: true };

/** Ids and metadata become keys and headers of records. */
const plainText = z.string().refine((text) => !hasControlCharacter(text) && text.isWellFormed(), {
  error: "remove control characters and lone surrogates",
  params: UNPUBLISHABLE,
});

const plainName = plainText.min(1, "it is empty");

const metadataName = plainName
  .max(MAX_HEADER_NAME_LENGTH)
  .refine((name) => !isReservedHeader(name), {
    error: "the names type, ce_* and headgate-* are reserved",
    params: UNPUBLISHABLE,
  });

const metadataSchema = z
  .record(metadataName, plainText)
  .refine((metadata) => Object.keys(metadata).length <= MAX_HEADERS, {
    error: `at most ${MAX_HEADERS} are allowed`,
  });

/** Made once for each kind: making a schema costs more than using it. */
const schemas = new Map<NotificationKind, NotificationBodySchema>();

type NotificationBodySchema = ReturnType<typeof createSchema>;

/** The schema of the body of `POST /notifications/{kind}`; `z.toJSONSchema` describes it. */
export function notificationBodyOf(kind: NotificationKind): NotificationBodySchema {
  const known = schemas.get(kind);
  if (known) return known;
  const schema = createSchema(kind);
  schemas.set(kind, schema);
  return schema;
}

/**
 * Reads a notification of this kind; `body` is what `JSON.parse` gave.
 * @throws HeadgateError `invalid-body` or `invalid-event`, with a JSON pointer.
 */
export function parseNotificationBody(
  kind: NotificationKind,
  body: unknown,
): z.output<NotificationBodySchema> {
  if (!endsWithin(MAX_DEPTH, body)) {
    throw cannotBeUsed("invalid-body", [], `it is nested deeper than ${MAX_DEPTH} levels`);
  }
  const { success, data, error } = notificationBodyOf(kind).safeParse(body);
  if (!success) throw refusal(error);
  // The schema has just said that these are objects, where they are there at all.
  const { details, metadata } = body as { readonly details?: object; readonly metadata?: object };
  // The one name that schemas drop: as metadata it is refused, as in publishing; in details it is data.
  if (metadata && Object.hasOwn(metadata, "__proto__")) {
    throw cannotBeUsed("invalid-body", ["metadata", "__proto__"], "not a name to be used");
  }
  return { ...data, details: { ...details } };
}

function createSchema(kind: NotificationKind) {
  const { statuses, details }: KindEntry = NOTIFICATION_KINDS[kind];
  return z
    .strictObject({
      id: plainName,
      status: oneOf(`the statuses of ${kind}`, statuses),
      details: details.optional(),
      target: oneOf("the targets", NOTIFICATION_TARGETS),
      targetId: plainName.optional(),
      metadata: metadataSchema.optional(),
    })
    .superRefine(({ target, targetId }, context) => {
      if ((target === "all") === (targetId === undefined)) return;
      const message = target === "all" ? "leave it out: all have none" : `name the ${target}`;
      context.addIssue({ code: "custom", path: ["targetId"], message });
    });
}

function oneOf<const T extends readonly [string, ...string[]]>(what: string, values: T) {
  return z.enum(values, {
    error: ({ input }) => {
      const given = typeof input === "string" ? quote(input) : "it";
      return `${given} is none of ${what}: ${values.join(", ")}`;
    },
  });
}

/** Whether JSON ends within so many levels. */
function endsWithin(levels: number, json: unknown): boolean {
  if (typeof json !== "object" || json === null) return true;
  return levels > 0 && Object.values(json).every((value) => endsWithin(levels - 1, value));
}

function refusal({ issues: [issue] }: z.ZodError): HeadgateError {
  if (issue?.code === "unrecognized_keys") {
    const path = [...issue.path, issue.keys[0] ?? ""];
    return cannotBeUsed("invalid-body", path, "unknown here; fields of your own go into details");
  }
  // What is wrong with a name lies one deeper.
  const reason = issue?.code === "invalid_key" ? issue.issues[0] : issue;
  const isUnpublishable = reason?.code === "custom" && reason.params === UNPUBLISHABLE;
  return cannotBeUsed(
    isUnpublishable ? "invalid-event" : "invalid-body",
    issue?.path ?? [],
    reason?.message ?? "not a notification",
  );
}

function cannotBeUsed(
  code: "invalid-body" | "invalid-event",
  path: readonly PropertyKey[],
  why: string,
): HeadgateError {
  const pointer = pointerTo("", ...path);
  const what = pointer === "" ? "The notification" : quote(pointer);
  return new HeadgateError(code, `${what} cannot be used: ${why}`, { pointer });
}
