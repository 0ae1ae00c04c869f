import { LOOK_UP_PARAMETERS, RECENT_PARAMETERS, STREAM_PARAMETERS } from "../subscribe-query.ts";
import type { Answer, Operation } from "./operation.ts";
import { LOOK_UP_PROBLEMS, STREAM_PROBLEMS } from "./problems.ts";

const STREAM: Answer = {
  description:
    "An endless stream. Server-Sent Events, whatever is accepted, but for `application/x-ndjson`: then a line of JSON for each event.",
  content: {
    "text/event-stream": { itemSchema: "StreamItem" },
    "application/x-ndjson": { itemSchema: "StreamLine" },
  },
};

export const READING = {
  "GET /events": {
    id: "streamEvents",
    tag: "Reading",
    summary: "Streams events as they come",
    description:
      "Each event's id is a position; who comes back with the last one gets exactly the rest.",
    permission: "subscribe",
    query: STREAM_PARAMETERS,
    headers: ["Last-Event-ID"],
    answers: { 200: STREAM },
    problems: STREAM_PROBLEMS,
  },
  "GET /stream": {
    id: "streamRecentEvents",
    tag: "Reading",
    summary: "Streams the 10 newest events, then what comes",
    description: "`GET /events` with `recent=10` as its default.",
    permission: "subscribe",
    query: STREAM_PARAMETERS,
    headers: ["Last-Event-ID"],
    answers: { 200: STREAM },
    problems: STREAM_PROBLEMS,
  },
  "GET /events/recent": {
    id: "listRecentEvents",
    tag: "Reading",
    summary: "Lists the newest events, newest first",
    permission: "subscribe",
    query: RECENT_PARAMETERS,
    headers: [],
    answers: {
      200: { description: "The events", content: { "application/json": { schema: "Recent" } } },
    },
    problems: LOOK_UP_PROBLEMS,
  },
  "GET /events/explain": {
    id: "explainStream",
    tag: "Reading",
    summary: "Says where a stream would begin, and with what",
    description: "What `GET /events` would do with the same parameters and headers.",
    permission: "subscribe",
    query: STREAM_PARAMETERS,
    headers: ["Last-Event-ID"],
    answers: {
      200: { description: "Its start", content: { "application/json": { schema: "Explained" } } },
    },
    problems: LOOK_UP_PROBLEMS,
  },
  "GET /events/{topic}/{partition}/{offset}": {
    id: "getEvent",
    tag: "Reading",
    summary: "Looks one event up by where it lies in Kafka",
    permission: "subscribe",
    query: LOOK_UP_PARAMETERS,
    headers: [],
    answers: {
      200: { description: "The event", content: { "application/json": { schema: "Envelope" } } },
    },
    problems: { ...LOOK_UP_PROBLEMS, 404: ["event-not-found"] },
  },
} as const satisfies Readonly<Record<string, Operation>>;
