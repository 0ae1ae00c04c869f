import { z } from "zod";
import { HeavyHitters } from "./heavy-hitters.ts";
import { type Measure, NumberSummary } from "./number-summary.ts";

/**
 * Types that are held by name: against a producer that makes up a type for each event, to fill the
 * memory. Up to twice as many are held between two saves.
 */
const MAX_TYPES = 1_000;

/**
 * Longer types are counted under none: against types of megabytes. They are not cut, since two
 * that begin alike would be counted as one that nobody sent.
 */
const MAX_TYPE_LENGTH = 128;

/** What is counted of one record. */
export interface Counted {
  readonly topic: string;
  readonly type: string;
  /** For each field in turn its number, where the record has one. */
  readonly measures: readonly (Measure | undefined)[];
}

/** The records of some time: as many as a sixtieth of a window, or as a whole one. Bounded, whatever the records are. */
export class Step {
  readonly types: HeavyHitters;
  /** Bounded by the served topics. */
  readonly byTopic: Map<string, number>;
  /** By path; bounded by AGGREGATE_FIELDS. */
  readonly byField: Map<string, NumberSummary>;
  count: number;

  constructor({ count, topics, types, fields }: StoredStep = EMPTY) {
    this.count = count;
    this.byTopic = new Map(topics);
    this.types = new HeavyHitters(MAX_TYPES, types);
    this.byField = new Map(fields.map(([name, numbers]) => [name, new NumberSummary(numbers)]));
  }

  /** `fields` are the paths of the measures. */
  add({ topic, type, measures }: Counted, fields: readonly string[]): void {
    this.count += 1;
    this.byTopic.set(topic, (this.byTopic.get(topic) ?? 0) + 1);
    if (type.length > MAX_TYPE_LENGTH) this.types.addOther(1);
    else this.types.add(type, 1);
    for (const [i, measure] of measures.entries()) {
      if (measure) this.#numbers(fields[i] ?? "").add(measure);
    }
  }

  merge(from: Step): void {
    this.count += from.count;
    for (const [topic, count] of from.byTopic) {
      this.byTopic.set(topic, (this.byTopic.get(topic) ?? 0) + count);
    }
    this.types.merge(from.types);
    for (const [field, numbers] of from.byField) this.#numbers(field).merge(numbers);
  }

  /** For `parseStep`. */
  toJSON(): StoredStep {
    this.types.compact();
    return {
      count: this.count,
      topics: [...this.byTopic],
      types: this.types.toJSON(),
      fields: [...this.byField].map(([name, numbers]) => [name, numbers.toJSON()]),
    };
  }

  #numbers(field: string): NumberSummary {
    let numbers = this.byField.get(field);
    if (!numbers) this.byField.set(field, (numbers = new NumberSummary()));
    return numbers;
  }
}

/**
 * Reads what `JSON.stringify` made of a step, less the fields that are asked for no more.
 * @throws Error for anything else.
 */
export function parseStep(text: string, fields: readonly string[]): Step {
  const stored = STORED_STEP.parse(JSON.parse(text));
  return new Step({ ...stored, fields: stored.fields.filter(([name]) => fields.includes(name)) });
}

const COUNT = z.number().nonnegative();
const COUNTS = z.array(z.tuple([z.string(), COUNT]).readonly()).readonly();
const BUCKETS = z.array(z.tuple([z.number(), COUNT]).readonly()).readonly();
const NUMBERS = z.tuple([COUNT, z.number(), z.number(), z.number(), BUCKETS]).readonly();
const STORED_STEP = z.object({
  count: COUNT,
  topics: COUNTS,
  types: z.object({ items: COUNTS, other: COUNT }),
  fields: z.array(z.tuple([z.string(), NUMBERS]).readonly()).readonly(),
});

type StoredStep = z.infer<typeof STORED_STEP>;

const EMPTY: StoredStep = { count: 0, topics: [], types: { items: [], other: 0 }, fields: [] };
