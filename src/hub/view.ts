import type { Encoding } from "../sse/encoding.ts";
import type { Group } from "./group.ts";

/** What a group gets of a turn. */
interface Share {
  /** Places in the view's bytes: from, to, from, to … */
  readonly ranges: number[];
  events: number;
}

const FIRST_BYTES = 4096;

/** The frames of one turn over one set of topics in one encoding, shared by many groups. */
export class View {
  readonly topics: readonly string[];
  readonly encoding: Encoding;
  readonly #shares = new Map<Group, Share>();
  /** Never used again: what is written is known by its identity. */
  #bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #length = 0;

  constructor(group: Group) {
    this.topics = group.subscription.topics;
    this.encoding = group.subscription.encoding;
  }

  get byteLength(): number {
    return this.#length;
  }

  /** Adds a frame: `head`, which is ASCII, and `body`. */
  add(head: string, body: Uint8Array, groups: readonly Group[], events: number): void {
    const from = this.#length;
    const to = from + head.length + body.byteLength;
    if (to > this.#bytes.byteLength) this.#grow(to);
    this.#bytes.write(head, from, "latin1");
    this.#bytes.set(body, from + head.length);
    this.#length = to;
    for (const group of groups) {
      let share = this.#shares.get(group);
      if (!share) this.#shares.set(group, (share = { ranges: [], events: 0 }));
      share.events += events;
      if (share.ranges.at(-1) === from) share.ranges.pop();
      else share.ranges.push(from);
      share.ranges.push(to);
    }
  }

  /** Each group's bytes; groups that get every frame share one array. */
  *join(): Iterable<{ group: Group; bytes: Uint8Array; events: number }> {
    const whole = this.#bytes.subarray(0, this.#length);
    for (const [group, { ranges, events }] of this.#shares) {
      const isWhole = ranges.length === 2 && ranges[0] === 0 && ranges[1] === this.#length;
      yield { group, events, bytes: isWhole ? whole : this.#part(ranges) };
    }
  }

  #part(ranges: readonly number[]): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let i = 0; i < ranges.length; i += 2) {
      parts.push(this.#bytes.subarray(ranges[i], ranges[i + 1]));
    }
    return Buffer.concat(parts);
  }

  #grow(length: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#bytes.byteLength));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
