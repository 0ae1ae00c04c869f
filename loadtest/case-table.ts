import { measureFanOut } from "./fanout.ts";
import type { Figures } from "./figures.ts";
import type { Lengths } from "./ranges.ts";
import { measureSubscriptions } from "./subscriptions.ts";
import type { SubscriptionFigures, SubscriptionLoad } from "./subscriptions.ts";
import { measureTarget } from "./targets.ts";

/** Sizes of all cases; `group` is how many share a subscription, `publishing` as for the fan-out. */
export interface CaseSettings extends Lengths {
  readonly subscribers: number;
  readonly many: number;
  readonly group: number;
  readonly targeted: number;
  readonly largeSubscribers: number;
  readonly largeBytes: number;
  readonly largeRate: number;
  readonly rate: number;
  readonly slowRate: number;
  readonly spreadRate: number;
  readonly bytes: number;
  readonly publishing: number;
}

/** One side of a case. */
export interface Side extends Figures {
  /** What is compared: CPU per delivery, in microseconds. */
  readonly cpuUs: number;
  /** The same without what the events take while nobody reads them, where that was measured. */
  readonly cpuUsBeyondPublishing?: number;
}

/** Both sides of a case. */
export interface Sides {
  readonly ours: Side;
  readonly baseline: Side;
}

/** One shape of subscriptions and events, and what it is measured beside. */
export interface Case {
  readonly name: string;
  /** What the baseline is. */
  readonly beside: string;
  readonly measure: (settings: CaseSettings) => Promise<Sides>;
}

/** All of them. */
export const CASES: readonly Case[] = [
  {
    name: "one subscription, many events",
    beside: "the floor program",
    measure: ({ rate, ...settings }) => besideFloor(settings, rate),
  },
  {
    name: "one subscription, few events",
    beside: "the floor program",
    measure: ({ slowRate: rate, ...settings }) => besideFloor(settings, rate),
  },
  {
    name: "large events",
    beside: "the floor program",
    measure: ({ largeRate: rate, largeBytes: bytes, largeSubscribers: subscribers, ...settings }) =>
      besideFloor({ ...settings, bytes, subscribers }, rate),
  },
  {
    name: "all with different subscriptions, an event to one",
    beside: "all with one subscription, as many deliveries",
    // Of as many events as there are subscribers one goes to everybody, or each to somebody else.
    measure: ({ many: streams, spreadRate: rate, ...settings }) =>
      besideOneSubscription(settings, {
        streams,
        copies: 1,
        rate,
        names: { keys: streams },
        paths: ["/events?keys=k{n}", "/events?keys=k0"],
      }),
  },
  {
    name: "all with different subscriptions, an event to all",
    beside: "all with one subscription",
    measure: ({ many: streams, slowRate: rate, ...settings }) =>
      besideOneSubscription(settings, {
        streams,
        copies: 1,
        rate,
        names: { keys: 1 },
        paths: ["/events?keys=k0,own{n}", "/events?keys=k0,own"],
      }),
  },
  {
    name: "small groups, an event to one of them",
    beside: "one group, as many deliveries",
    measure: ({ subscribers, group: copies, rate, ...settings }) => {
      const streams = Math.ceil(subscribers / copies);
      return besideOneSubscription(settings, {
        streams,
        copies,
        rate,
        names: { keys: streams },
        paths: ["/events?keys=k{n}", "/events?keys=k0"],
      });
    },
  },
  {
    name: "an event to one of many",
    beside: "an event to the only one",
    measure: async ({ targeted: subscribers, rate, seconds, warmup }) => {
      const load = { subscribers, rate: 2 * rate, seconds, idle: seconds / 2, warmup };
      const [alone, among] = await measureTarget("channel", load);
      return {
        ours: { ...among, cpuUs: among.cpuUsPerEvent },
        baseline: { ...alone, cpuUs: alone.cpuUsPerEvent },
      };
    },
  },
];

const PACE_MS = 5;

type FloorSettings = Lengths & Pick<CaseSettings, "subscribers" | "bytes">;

async function besideFloor(settings: FloorSettings, rate: number): Promise<Sides> {
  const sample = Math.max(1, Math.floor(settings.subscribers / 100));
  const load = { ...settings, rate, sample, paceMs: PACE_MS, publishing: 0 };
  const { summaries } = await measureFanOut(load);
  return { ours: perDelivery(summaries.headgate), baseline: perDelivery(summaries.floor) };
}

type Subscribing = Pick<SubscriptionLoad, "streams" | "copies" | "rate" | "names"> & {
  /** Of the different subscriptions, and of the one. */
  readonly paths: readonly [string, string];
};

/** The same events to as many subscribers, who all ask for the same: each side with a server of its own. */
async function besideOneSubscription(
  {
    bytes,
    warmup,
    seconds,
    drain,
    publishing,
  }: Lengths & Pick<CaseSettings, "bytes" | "publishing">,
  { paths: [different, same], ...subscribing }: Subscribing,
): Promise<Sides> {
  const load = { ...subscribing, bytes, warmup, seconds, drain, publishing, paceMs: PACE_MS };
  const baseline = await measureSubscriptions({ ...load, path: same });
  const ours = await measureSubscriptions({ ...load, path: different });
  return { ours: beyondPublishing(ours), baseline: beyondPublishing(baseline) };
}

function perDelivery(figures: Figures): Side {
  return { ...figures, cpuUs: figures.cpuUsPerDelivery };
}

function beyondPublishing(figures: SubscriptionFigures): Side {
  const cores = figures.cores - figures.publishingCores;
  return {
    ...perDelivery(figures),
    cpuUsBeyondPublishing: (cores / figures.deliveriesPerSecond) * 1e6,
  };
}
