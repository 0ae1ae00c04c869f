import type { Reading } from "./reading.ts";

/** Two readings of a second are never exactly a second apart. */
const TOLERANCE_MS = 500;

/** The readings of the time just past, one a second, and what they say about it. */
export class Past {
  /** Oldest first. */
  readonly readings: readonly Reading[];
  readonly now: Reading;

  constructor(readings: readonly Reading[], now: Reading) {
    this.readings = readings;
    this.now = now;
  }

  /** The reading of so long ago; the oldest where it does not go back so far. O(readings). */
  ago(ms: number): Reading {
    const latestMs = this.now.atMs - ms + TOLERANCE_MS;
    return this.readings.findLast(({ atMs }) => atMs <= latestMs) ?? this.readings[0] ?? this.now;
  }

  /** By how much a total has grown since so long ago. */
  growth(ms: number, of: (reading: Reading) => number): number {
    return of(this.now) - of(this.ago(ms));
  }

  /** The same by the seconds that have really gone by; 0 where there is no time between. */
  perSecond(ms: number, of: (reading: Reading) => number): number {
    const elapsedMs = this.now.atMs - this.ago(ms).atMs;
    return elapsedMs > 0 ? (1000 * this.growth(ms, of)) / elapsedMs : 0;
  }

  /** The growth in each whole slice of so long before the last one, newest first. */
  slicesBefore(ms: number, of: (reading: Reading) => number): number[] {
    const startMs = (this.readings[0] ?? this.now).atMs - TOLERANCE_MS;
    const slices: number[] = [];
    for (let k = 2; this.now.atMs - k * ms >= startMs; k += 1) {
      slices.push(of(this.ago((k - 1) * ms)) - of(this.ago(k * ms)));
    }
    return slices;
  }
}
