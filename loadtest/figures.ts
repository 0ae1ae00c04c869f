import type { Measurement } from "./processes.ts";

/** What one measured window comes to. */
export interface Figures {
  readonly deliveriesPerSecond: number;
  /** Of the server; 1 is a whole core. */
  readonly cores: number;
  readonly cpuUsPerDelivery: number;
  readonly cpuUsPerWrite: number;
  readonly eventsPerWrite: number;
  /** On the wire, HTTP's chunks and the event's id with it. */
  readonly bytesPerEvent: number;
  readonly idBytes: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly gaps: number;
  readonly repeats: number;
  readonly streamsLost: number;
  /** Cores that went to work that is no part of the measurement. */
  readonly othersCores: number;
}

/** The figures of a window; what nothing was delivered in has no number (NaN) where one is divided by it. */
export function figuresOf({ subscribers, serverCpuSeconds, othersCores }: Measurement): Figures {
  const { measured, latencyUs, gaps, repeats, ok, failed, closedByServer, sampled, idBytes } =
    subscribers;
  // Writes are counted on sampled streams only; all streams are written to alike.
  const writes = (measured.writes * ok) / sampled;
  return {
    deliveriesPerSecond: measured.deliveries / measured.seconds,
    cores: serverCpuSeconds / measured.seconds,
    cpuUsPerDelivery: (serverCpuSeconds * 1e6) / measured.deliveries,
    cpuUsPerWrite: (serverCpuSeconds * 1e6) / writes,
    eventsPerWrite: measured.events / measured.writes,
    bytesPerEvent: measured.sampledBytes / measured.events,
    idBytes,
    p50Us: latencyUs.p50,
    p99Us: latencyUs.p99,
    gaps,
    repeats,
    streamsLost: failed + closedByServer,
    othersCores,
  };
}

/** Events that were missing, came again, or went with their stream. Must be 0, always. */
export function faultsOf({ gaps, repeats, streamsLost }: Figures): number {
  return gaps + repeats + streamsLost;
}
