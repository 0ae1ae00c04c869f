import type { StoredEntry } from "../log/stored-entry.ts";
import { type Encoding, encodeEvent } from "../sse/encoding.ts";
import { type Event, toEvent } from "../sse/event.ts";
import type { Group } from "./group.ts";
import type { GroupIndex } from "./group-index.ts";
import { isEvent } from "./page.ts";

/** What all lanes need of an entry, made once for all of them. */
export class PreparedEntry {
  /** Undefined for what is shown to nobody. */
  readonly event: Event | undefined;
  readonly #bodies = new Map<Encoding, Uint8Array>();
  #groups: ReadonlySet<Group> | undefined;
  #groupsVersion = -1;

  constructor(entry: StoredEntry) {
    this.event = isEvent(entry) ? toEvent(entry) : undefined;
  }

  /** Everything of the event but its id. */
  body(encoding: Encoding): Uint8Array {
    let body = this.#bodies.get(encoding);
    if (body) return body;
    body = this.event ? encodeEvent(encoding, this.event) : NO_BYTES;
    this.#bodies.set(encoding, body);
    return body;
  }

  /** The groups that get the event: found again where groups have come or gone. */
  groups(index: GroupIndex): ReadonlySet<Group> {
    if (this.#groups && this.#groupsVersion === index.version) return this.#groups;
    this.#groups = this.event ? index.groupsFor(this.event) : NO_GROUPS;
    this.#groupsVersion = index.version;
    return this.#groups;
  }
}

const NO_BYTES = new Uint8Array();
const NO_GROUPS: ReadonlySet<Group> = new Set();

/** Entries on their way through the lanes: at most those of a turn or two. */
export class PreparedEntries {
  readonly #entries = new Map<number, PreparedEntry>();

  of(entry: StoredEntry): PreparedEntry {
    let prepared = this.#entries.get(entry.seq);
    if (!prepared) this.#entries.set(entry.seq, (prepared = new PreparedEntry(entry)));
    return prepared;
  }

  /** All lanes are past it. */
  forgetUpTo(seq: number): void {
    for (const known of this.#entries.keys()) {
      if (known > seq) break;
      this.#entries.delete(known);
    }
  }
}
