import { isUtf8 } from "node:buffer";
import type { StoredEntry } from "../log/stored-entry.ts";
import type { Logger } from "../logger.ts";
import { hasControlCharacter } from "../sse/event.ts";
import type { Changes } from "./rolling-windows.ts";

/** Against a producer that makes up a section for each record, to fill the memory and every dashboard. */
export const MAX_SECTIONS = 100;

/** Of one section's JSON: each dashboard that is open gets it with each update. */
export const MAX_SECTION_BYTES = 64 << 10;

/** Of a section's name. */
export const MAX_SECTION_NAME_BYTES = 128;

/** Lists within lists: against JSON that is read, and then too deep to be written. */
export const MAX_SECTION_DEPTH = 64;

type Refusal = "name" | "too large" | "not JSON" | "too deep" | "too many";

/** What the records of the dashboard's topic say: the last of each key, as in a compacted topic. Bounded. */
export class DashboardSections {
  readonly #logger: Logger;
  /** What the stored names of this topic's sections begin with. */
  readonly #prefix: string;
  readonly #sections = new Map<string, { readonly text: string; readonly value: unknown }>();
  readonly #changed = new Set<string>();
  readonly #refused = new Set<Refusal>();

  constructor(logger: Logger, topic: string | undefined) {
    this.#logger = logger;
    this.#prefix = `section ${topic ?? ""} `;
  }

  /** Takes a record: its key names the section, its value is its JSON, a tombstone removes it. */
  take({ key, value }: Pick<StoredEntry, "key" | "value">): void {
    const name = nameOf(key);
    if (name === undefined) return this.#refuse("name");
    if (value === null) {
      if (this.#sections.delete(name)) this.#changed.add(name);
      return;
    }
    if (value.byteLength > MAX_SECTION_BYTES) return this.#refuse("too large");
    const text = isUtf8(value) ? Buffer.from(value).toString() : undefined;
    const refusal = text === undefined ? "not JSON" : this.#set(name, text);
    if (refusal) return this.#refuse(refusal);
    this.#changed.add(name);
  }

  /** By name: whatever it is, a member of its own, `__proto__` too. Which of them are shown is the dashboard's affair. */
  all(): Readonly<Record<string, unknown>> {
    return Object.fromEntries([...this.#sections].map(([name, { value }]) => [name, value]));
  }

  /** The changes since `markStored`. */
  *changes(): Changes {
    for (const name of this.#changed) {
      yield [`${this.#prefix}${name}`, this.#sections.get(name)?.text];
    }
  }

  markStored(): void {
    this.#changed.clear();
  }

  /**
   * Puts a section back that was stored by this name; false where it is none of the topic's.
   * @throws Error where it would be refused.
   */
  restore(storedName: string, text: string): boolean {
    if (!storedName.startsWith(this.#prefix)) return false;
    const refusal = this.#set(storedName.slice(this.#prefix.length), text);
    if (refusal) throw new Error(`A stored section is refused: ${refusal}`);
    return true;
  }

  #set(name: string, text: string): Refusal | undefined {
    if (!this.#sections.has(name) && this.#sections.size >= MAX_SECTIONS) return "too many";
    try {
      const value: unknown = JSON.parse(text);
      if (!isShallow(value, MAX_SECTION_DEPTH)) return "too deep";
      this.#sections.set(name, { text, value });
      return undefined;
    } catch {
      return "not JSON";
    }
  }

  /** Says it once for each reason: a producer that is wrong is wrong with each record. */
  #refuse(reason: Refusal): void {
    if (this.#refused.has(reason)) return;
    this.#refused.add(reason);
    this.#logger.warn({ reason }, "record of the dashboard's topic was refused as a section");
  }
}

/** A key as a section's name: text without control characters. */
function nameOf(key: Uint8Array | null): string | undefined {
  if (key === null || key.byteLength === 0 || key.byteLength > MAX_SECTION_NAME_BYTES) {
    return undefined;
  }
  const name = isUtf8(key) ? Buffer.from(key).toString() : "";
  return name === "" || hasControlCharacter(name) ? undefined : name;
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((member) => isShallow(member, depth - 1));
}
