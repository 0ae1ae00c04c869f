import type { Logger } from "../logger.ts";
import type { DashboardSource, Sections } from "./dashboard-data.ts";
import { MAX_SECTIONS_BYTES } from "./sections.ts";

const FAULTS = {
  threw: "the application's data source has thrown an error",
  late: "the application's data source does not answer in time",
  "no-object": "the application's data source has returned no plain object",
  "no-json": "the application's data source has returned what JSON cannot hold",
  "too-large": `the application's data source has returned more than ${MAX_SECTIONS_BYTES >> 10} KiB`,
} as const;

type Fault = keyof typeof FAULTS;

interface ApplicationSectionsOptions {
  /** Undefined: the application has none. */
  readonly source: DashboardSource | undefined;
  /** How long an update waits for it. */
  readonly deadlineMs: number;
  readonly logger: Logger;
}

/**
 * What the application says last. While its source fails, its last good sections stay, and `fault`
 * says why; a source that is late is not asked again until it has answered, and what it answers
 * then is taken.
 */
export class ApplicationSections {
  readonly #options: ApplicationSectionsOptions;
  #sections: Sections = {};
  #fault: Fault | undefined;
  /** What the source threw last. */
  #thrown: unknown;
  /** The call that is under way; resolves with what came of it, and never rejects. */
  #call: Promise<Fault | undefined> | undefined;

  constructor(options: ApplicationSectionsOptions) {
    this.#options = options;
  }

  get sections(): Sections {
    return this.#sections;
  }

  /** Why the sections are old, for people; undefined: they are not. */
  get fault(): string | undefined {
    return this.#fault && FAULTS[this.#fault];
  }

  /** Asks the application, and waits at most until the deadline. */
  async refresh(): Promise<void> {
    const { source, deadlineMs } = this.#options;
    if (!source) return;
    const wasLate = this.#call !== undefined;
    this.#call ??= this.#ask(source).finally(() => (this.#call = undefined));
    const deadline = Promise.withResolvers<Fault>();
    const timer = setTimeout(() => deadline.resolve("late"), deadlineMs);
    const fault = await Promise.race([this.#call, deadline.promise]);
    clearTimeout(timer);
    // It was asked for an update before this one: it does not answer in time.
    this.#note(fault ?? (wasLate ? "late" : undefined));
  }

  /** Takes what a source returns, where it can be shown. */
  async #ask(source: DashboardSource): Promise<Fault | undefined> {
    let value: unknown;
    try {
      value = await source();
    } catch (error) {
      this.#thrown = error;
      return "threw";
    }
    if (!isPlainObject(value)) return "no-object";
    try {
      const text = JSON.stringify(value);
      if (Buffer.byteLength(text) > MAX_SECTIONS_BYTES) return "too-large";
      // A copy: the application may change its objects while they are shown.
      const copy: unknown = JSON.parse(text);
      if (!isPlainObject(copy)) return "no-object";
      this.#sections = copy;
      return undefined;
    } catch {
      // BigInt, a cycle, a toJSON that throws or gives nothing.
      return "no-json";
    }
  }

  #note(fault: Fault | undefined): void {
    if (fault === this.#fault) return;
    this.#fault = fault;
    const { logger } = this.#options;
    if (fault === undefined) logger.info("dashboard source answers again");
    else
      logger.warn(
        { fault, ...(fault === "threw" && { err: this.#thrown }) },
        "dashboard source failed",
      );
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of this realm or another one: the root of all objects has no prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
