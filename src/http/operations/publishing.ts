import { PUBLISH_PARAMETERS } from "../parameters.ts";
import { NOTIFICATION_BODY, PUBLISH_BODY } from "./bodies.ts";
import type { Answer, Operation } from "./operation.ts";
import { PUBLISH_PROBLEMS } from "./problems.ts";

const PUBLISHED: Answer = {
  description: "The events are durable, and on their way to subscribers",
  content: { "application/json": { schema: "Published" } },
};

export const PUBLISHING = {
  "POST /events": {
    id: "publishEvents",
    tag: "Publishing",
    summary: "Publishes events, durable when the answer comes",
    permission: "publish",
    query: PUBLISH_PARAMETERS,
    headers: [
      "Idempotency-Key",
      "ce-specversion",
      "ce-id",
      "ce-source",
      "ce-type",
      "ce-subject",
      "ce-time",
      "ce-dataschema",
      "ce-partitionkey",
      "traceparent",
      "tracestate",
    ],
    body: PUBLISH_BODY,
    answers: { 200: PUBLISHED },
    problems: PUBLISH_PROBLEMS,
  },
  "POST /notifications/{kind}": {
    id: "publishNotification",
    tag: "Publishing",
    summary: "Publishes a notification: an event of a known form",
    description:
      "It goes to the default topic, with the type `<kind>:<status>` and the id as its key.",
    permission: "publish",
    query: [],
    headers: ["Idempotency-Key", "traceparent", "tracestate"],
    body: NOTIFICATION_BODY,
    answers: { 200: PUBLISHED },
    problems: { ...PUBLISH_PROBLEMS, 404: ["endpoint-not-found"] },
  },
} as const satisfies Readonly<Record<string, Operation>>;
