import { measure } from "../processes.ts";
import type { Attempt } from "./highest.ts";
import type { InstalledPeer, Load, Publishing } from "./peer.ts";

/** One measured window of one server, at one rate. */
export interface Trial extends Attempt {
  readonly deliveriesPerSecond: number;
  /** Of what was due. */
  readonly delivered: number;
  readonly cpuUsPerDelivery: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly serverCores: number;
  /** Of the program that reads the streams: where that is full, it is what limits the rate. */
  readonly readerCores: number;
  readonly streamsLost: number;
  readonly gaps: number;
  readonly othersCores: number;
}

export interface TrialSettings extends Load {
  readonly subscribers: number;
  /** Length of the window. */
  readonly seconds: number;
  /** What the p99 of the delays may be, in milliseconds, for a server that keeps up. */
  readonly mostDelayMs: number;
}

const WARMUP_S = 2;
/** Streams that are parsed whole; of the others the bytes are counted. */
const SAMPLED = 100;
const LEAST_DELIVERED = 0.99;

/** Starts the server, has the subscribers read for the window, and ends it. */
export async function runTrial(peer: InstalledPeer, settings: TrialSettings): Promise<Trial> {
  const { subscribers: connections, rate, seconds, mostDelayMs } = settings;
  await using server = await peer.start();
  let publishing: Publishing | undefined;
  const { subscribers, serverCpuSeconds, othersCores } = await measure(
    server,
    {
      connections,
      seconds,
      path: server.path,
      warmup: WARMUP_S,
      sample: Math.max(1, Math.floor(connections / SAMPLED)),
    },
    { onOpen: () => (publishing = server.publish(settings)) },
  );
  await publishing?.stop();
  const { measured, latencyUs, ok, failed, closedByServer, sampled, gaps } = subscribers;
  // Of each stream one event may lie on either side of the window's ends.
  const due = Math.max(1, rate * measured.seconds - 1) * sampled;
  const delivered = measured.events / due;
  const streamsLost = failed + closedByServer;
  const isComplete = delivered >= LEAST_DELIVERED && ok === connections && streamsLost === 0;
  return {
    rate,
    keepsUp: isComplete && latencyUs.p99 <= mostDelayMs * 1_000,
    deliveriesPerSecond: measured.deliveries / measured.seconds,
    delivered: Math.min(1, delivered),
    cpuUsPerDelivery: (serverCpuSeconds * 1e6) / measured.deliveries,
    p50Us: latencyUs.p50,
    p99Us: latencyUs.p99,
    serverCores: serverCpuSeconds / measured.seconds,
    readerCores: measured.cpuSeconds / measured.seconds,
    streamsLost,
    gaps,
    othersCores,
  };
}
