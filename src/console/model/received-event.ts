import { memberText } from "./json-text.ts";

/** An event as the stream brought it, with what rows and filters need. */
export class ReceivedEvent {
  /** Counts what this page has received, from 1. */
  readonly number: number;
  /** The position after it. */
  readonly id: string;
  readonly type: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970; undefined where the record's is not known. */
  readonly timestampMs: number | undefined;
  /** As people read it; null where there is none. */
  readonly key: string | null;
  /** The envelope's own text. */
  readonly envelope: string;
  #payload: string | undefined;

  constructor(number: number, { type, id, data }: { type: string; id: string; data: string }) {
    const envelope = parse(data);
    this.number = number;
    this.id = id;
    this.type = type;
    this.envelope = data;
    const topic = envelope["topic"];
    this.topic = typeof topic === "string" ? topic : "";
    this.partition = Number(envelope["partition"] ?? 0);
    this.offset = Number(envelope["offset"] ?? 0);
    const ts = envelope["ts"];
    this.timestampMs = typeof ts === "number" && ts >= 0 ? ts : undefined;
    this.key = keyText(envelope["key"]);
  }

  /** The payload's text as it stands in the envelope; what a skipped record says instead. Made when first asked for. */
  get payload(): string {
    this.#payload ??=
      memberText(this.envelope, "payload") ?? memberText(this.envelope, "reason") ?? this.envelope;
    return this.#payload;
  }
}

function parse(data: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(data);
    // What is not an array or a primitive has members, or none.
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // What is no envelope is shown as it is.
  }
  return {};
}

function keyText(key: unknown): string | null {
  if (key === null || key === undefined) return null;
  return typeof key === "string" ? key : JSON.stringify(key);
}
