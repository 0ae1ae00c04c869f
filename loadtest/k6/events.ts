/**
 * Event streams by k6 with the extension xk6-sse; README.md beside it says how to build that.
 *
 *   k6 run -e STREAMS=1000 loadtest/k6/events.ts
 *
 * | option | absent |
 * |---|---|
 * | TARGET: the event stream's address | http://127.0.0.1:3000/events |
 * | STREAMS: virtual users, each with one stream | 1000 |
 * | RAMP_S: seconds in which they are opened | 30 |
 * | HOLD_S: seconds for which all are then read | 60 |
 * | TOKEN: a JWT, sent as `Authorization: Bearer` | none |
 * | SUMMARY: the file for the figures | k6-summary.json |
 */
import { check, sleep } from "k6";
import { Counter, Rate, Trend } from "k6/metrics";
import sse from "k6/x/sse";
import { optionsFor, planFrom, readSettings, runStream } from "./stream-test.ts";
import type { K6, Plan } from "./stream-test.ts";
import { formatRows, summaryRows } from "./summary.ts";
import type { SummaryData } from "./summary.ts";

const settings = readSettings(__ENV);

const k6: K6 = {
  sse,
  metrics: {
    stream_connected: new Rate("stream_connected"),
    stream_errors: new Counter("stream_errors"),
    stream_response_ms: new Trend("stream_response_ms", true),
    stream_first_event_ms: new Trend("stream_first_event_ms", true),
    stream_events: new Counter("stream_events"),
  },
  check,
  sleep,
  now: () => Date.now(),
};

export const options = optionsFor(settings);

/** Once, before the first stream: what it returns, each virtual user is given. */
export function setup(): Plan {
  return planFrom(k6.now(), settings);
}

/** A virtual user's turn. */
export function stream(plan: Plan): void {
  runStream(k6, settings, plan);
}

/** What k6 writes at the end: file names to texts. */
export function handleSummary(data: SummaryData): Record<string, string> {
  const rows = summaryRows(data);
  const file = __ENV["SUMMARY"] ?? "k6-summary.json";
  return {
    stdout: formatRows(rows),
    [file]: `${JSON.stringify({ settings: shown(), rows }, null, 2)}\n`,
  };
}

/** The settings without what is secret. */
function shown(): object {
  return { ...settings, token: undefined };
}
