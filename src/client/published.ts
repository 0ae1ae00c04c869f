/** What the server answers once everything is stored. */
export interface Published {
  readonly published: number;
  /** Where each event lies, in the order given. */
  readonly events: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
  }[];
  /** How many open streams of the instance that answered the events reach. */
  readonly receivers: number;
  /** It had been published before, under the same idempotency key: `events` says where. */
  readonly duplicate?: true;
}

/** Undefined for what is no such answer. */
export function parsePublished(body: unknown): Published | undefined {
  if (typeof body !== "object" || body === null) return undefined;
  // Any member may be of any type: the next line looks.
  const { published, events, receivers, duplicate } = body as Record<keyof Published, unknown>;
  if (typeof published !== "number" || typeof receivers !== "number") return undefined;
  if (!Array.isArray(events)) return undefined;
  return { published, events, receivers, ...(duplicate === true && { duplicate }) };
}
