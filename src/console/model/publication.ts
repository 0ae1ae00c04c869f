/** What the form holds, as it was typed. */
export interface Draft {
  readonly topic: string;
  readonly type: string;
  readonly key: string;
  /** Comma list. */
  readonly channels: string;
  /** JSON. */
  readonly data: string;
}

/** What is wrong with a JSON text; undefined: nothing. */
export function checkJson(text: string): string | undefined {
  if (text.trim() === "") return "Not JSON yet: it is empty";
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    const [, why = ""] = /^(?:JSON Parse error: |JSON\.parse: )?(.*)$/.exec(messageOf(error)) ?? [];
    return `Not JSON yet: ${why}`;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
}

/** The items of a comma list, as they are meant. */
export function itemsOf(list: string): string[] {
  return list
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** The body of `POST /events`. The data's text goes as it is, so that its numbers keep their digits. */
export function publishBody({ topic, type, key, channels, data }: Draft): string {
  const channel = itemsOf(channels);
  const event = {
    topic,
    ...(type !== "" && { type }),
    ...(key !== "" && { key }),
    ...(channel.length > 0 && { to: { channel } }),
  };
  return `${JSON.stringify(event).slice(0, -1)},"data":${data.trim()}}`;
}

/** What `POST /events` has answered, in words. */
export function publishedText({
  events,
  receivers,
}: {
  readonly events: readonly { topic: string; partition: number; offset: number }[];
  readonly receivers: number;
}): string {
  const [{ topic, partition, offset } = { topic: "", partition: 0, offset: 0 }] = events;
  const streams = receivers === 1 ? "1 stream" : `${receivers} streams`;
  return `Stored at ${topic}/${partition} @ ${offset}; ${streams} of this instance reached`;
}
