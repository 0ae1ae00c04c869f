import type { Frame } from "../../src/client/frame-source.ts";
import type { Ending, MakeTransport, TransportSink } from "../../src/client/transport.ts";
import { type Chance, type FakeTab, pick } from "./fake-tabs.ts";

/** Offsets of the partitions that are read next. */
export type Vector = readonly [number, number];

export const PARTITIONS = [0, 1] as const;

type Partition = (typeof PARTITIONS)[number];

/** What an event's data is in this model. */
export interface FakeEvent {
  readonly partition: Partition;
  readonly offset: number;
  /** The user of the token with which it was read. */
  readonly user: string;
}

/** One stream that the server has open. */
interface OpenStream {
  readonly tab: FakeTab;
  readonly user: string;
  readonly order: readonly Entry[];
  readonly sink: TransportSink;
  readonly end: (ending: Ending) => void;
  readonly requested: string | undefined;
  cursor: number;
  at: [number, number];
  phase: "opening" | "replay" | "live";
  isUnplaced: boolean;
}

interface Entry {
  readonly partition: Partition;
  readonly offset: number;
}

/**
 * A server of two instances that have the partitions' events in different orders, as docs/protocol.md
 * (section 4) has them. A stream without a position begins at the end, or at the start of all.
 */
export class FakeLog {
  /** Whether each event matches what is subscribed to. */
  readonly events: [boolean[], boolean[]] = [[], []];
  /** What is before it is no longer held. */
  readonly floor: [number, number] = [0, 0];
  streams: OpenStream[] = [];
  isDown = false;
  /** Whom it refuses for good. */
  readonly refused = new Set<string>();
  readonly #orders: [Entry[], Entry[]] = [[], []];
  readonly #waiting: [Entry[], Entry[]] = [[], []];
  readonly #chance: Chance;
  readonly #hasReplay: boolean;

  constructor(chance: Chance, { hasReplay }: { hasReplay: boolean }) {
    this.#chance = chance;
    this.#hasReplay = hasReplay;
  }

  get end(): Vector {
    return [this.events[0].length, this.events[1].length];
  }

  append(): void {
    const partition = this.#chance() < 0.5 ? 0 : 1;
    const offset = this.events[partition].push(this.#chance() < 0.8) - 1;
    // Both instances have it at some time, each partition's in order.
    for (const waiting of this.#waiting) waiting.push({ partition, offset });
  }

  /** One instance gets an event that another one may have already. */
  spread(): void {
    const instance = this.#chance() < 0.5 ? 0 : 1;
    const waiting = this.#waiting[instance];
    const partition = this.#chance() < 0.5 ? 0 : 1;
    const next = waiting.find((entry) => entry.partition === partition) ?? waiting[0];
    if (!next) return;
    waiting.splice(waiting.indexOf(next), 1);
    this.#orders[instance].push(next);
  }

  trim(): void {
    for (const partition of PARTITIONS) {
      const end = this.events[partition].length;
      const floor = this.floor[partition];
      this.floor[partition] = floor + Math.floor(this.#chance() * (end - floor));
    }
  }

  /** All streams of a tab end, whatever it knows. */
  forget(tab: FakeTab): void {
    this.streams = this.streams.filter((stream) => stream.tab !== tab);
  }

  transport(tab: FakeTab): MakeTransport {
    return () =>
      ({ token = "", lastEventId, signal }, sink) => {
        const user = userOf(token);
        if (this.refused.has(user)) {
          const why = { reason: "refused", message: "", httpStatus: 403 };
          return Promise.resolve({ kind: "refused", why });
        }
        return new Promise<Ending>((resolve, reject) => {
          if (tab.isGone) return;
          const order = this.#orders[this.#chance() < 0.5 ? 0 : 1];
          const stream: OpenStream = {
            tab,
            user,
            order,
            sink,
            end: (ending) => {
              this.streams = this.streams.filter((each) => each !== stream);
              resolve(ending);
            },
            requested: lastEventId,
            cursor: 0,
            at: this.#startOf(lastEventId),
            phase: "opening",
            isUnplaced: false,
          };
          this.streams.push(stream);
          signal.addEventListener("abort", () => {
            this.streams = this.streams.filter((each) => each !== stream);
            reject(new Error("aborted"));
          });
        });
      };
  }

  /** One stream goes on: somewhat, or to its end. */
  step(): void {
    const stream = pick(
      this.#chance,
      this.streams.filter(({ tab, sink }) => !tab.isFrozen && sink.gate.isOpen),
    );
    if (!stream) return;
    if (this.isDown) {
      stream.end({ kind: "lost", why: { reason: "ended", message: "" } });
      return;
    }
    // One piece of bytes can hold several events.
    const frames = 1 + Math.floor(this.#chance() * 4);
    for (let index = 0; index < frames; index += 1) this.#advance(stream);
  }

  cut(): void {
    const stream = pick(this.#chance, this.streams);
    stream?.end({ kind: "lost", why: { reason: "ended", message: "" } });
  }

  heartbeat(): void {
    const stream = pick(
      this.#chance,
      this.streams.filter(({ phase, tab }) => phase === "live" && !tab.isFrozen),
    );
    if (stream?.sink.gate.isOpen && !this.isDown) this.#send(stream, "heartbeat", "");
  }

  #startOf(id: string | undefined): [number, number] {
    if (id !== undefined) return [...parseVector(id)];
    return this.#hasReplay ? [...this.floor] : [...this.end];
  }

  #advance(stream: OpenStream): void {
    const { order, requested } = stream;
    const isExpired = PARTITIONS.some((partition) => stream.at[partition] < this.floor[partition]);
    if (stream.phase === "opening") {
      const resumed = requested !== undefined;
      // The id that it was given stays until another one comes: a reset may follow.
      const isSilent = isExpired || this.#chance() < 0.2;
      stream.isUnplaced = isSilent && !resumed;
      const id = isSilent ? (requested ?? "") : formatVector(stream.at);
      stream.sink.onFrame({ type: "connection", id, data: JSON.stringify({ resumed }) });
      stream.phase = "replay";
      return;
    }
    // No position was known yet: it begins where that comes to be known.
    if (stream.isUnplaced) stream.at = this.#startOf(undefined);
    stream.isUnplaced = false;
    if (isExpired) {
      const [first, second] = stream.at;
      stream.at = [Math.max(first, this.floor[0]), Math.max(second, this.floor[1])];
      this.#send(stream, "reset", "{}");
      return;
    }
    const { at } = stream;
    for (; stream.cursor < order.length; stream.cursor += 1) {
      const { partition, offset } = order[stream.cursor] ?? { partition: 0, offset: 0 };
      if (offset < at[partition]) continue;
      at[partition] = offset + 1;
      if (this.events[partition][offset] !== true) continue;
      stream.cursor += 1;
      const event: FakeEvent = { partition, offset, user: stream.user };
      this.#send(stream, "message", JSON.stringify(event));
      return;
    }
    if (stream.phase === "live") return;
    stream.phase = "live";
    this.#send(stream, "live", '{"replayed":0}');
  }

  #send({ sink, at }: OpenStream, type: string, data: string): void {
    const frame: Frame = { type, id: formatVector(at), data };
    sink.onBytes();
    sink.onFrame(frame);
  }
}

export function formatVector([first, second]: Vector): string {
  return `${first}.${second}`;
}

export function parseVector(id: string): Vector {
  const [first = 0, second = 0] = id.split(".").map(Number);
  return [first, second];
}

/** A token that says who somebody is, and nothing else. */
export function tokenOf(user: string): string {
  return `e30.${btoa(JSON.stringify({ sub: user }))}.e30`;
}

function userOf(token: string): string {
  const { sub } = JSON.parse(atob(token.split(".")[1] ?? "")) as { sub: string };
  return sub;
}
