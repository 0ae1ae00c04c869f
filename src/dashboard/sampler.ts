import type { Sample } from "./dashboard-data.ts";
import { Past } from "./past.ts";
import { quantileMs } from "./quantile.ts";
import type { Reading } from "./reading.ts";

/** Two minutes are shown. */
const SAMPLES = 120;

/** What is looked at as "now" is compared with the two minutes before it: ten seconds more. */
const READINGS = SAMPLES + 10 + 1;

const INTERVAL_MS = 1000;

interface SamplerOptions {
  /** Reads all counters, now. */
  readonly read: () => Promise<Reading>;
  /** Called after each reading. */
  readonly onSample: (past: Past) => void;
  readonly onError: (error: unknown) => void;
}

/** Reads the counters once a second, whether somebody looks or not: memory and work are the same always. */
export class Sampler implements Disposable {
  readonly #options: SamplerOptions;
  /** Oldest first; at most `READINGS`. */
  readonly #readings: Reading[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(options: SamplerOptions) {
    this.#options = options;
    void this.#sample();
    this.#timer = setInterval(() => void this.#sample(), INTERVAL_MS);
  }

  /** The time just past, up to a reading of now. */
  async past(): Promise<Past> {
    const now = await this.#options.read();
    return new Past([...this.#readings], now);
  }

  /** One a second, oldest first. */
  samples(): Sample[] {
    return samplesOf(this.#readings);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #sample(): Promise<void> {
    const { read, onSample, onError } = this.#options;
    try {
      const reading = await read();
      this.#readings.push(reading);
      if (this.#readings.length > READINGS) this.#readings.shift();
      onSample(new Past(this.#readings, reading));
    } catch (error) {
      onError(error);
    }
  }
}

/** What happened between each reading and the next. */
export function samplesOf(readings: readonly Reading[]): Sample[] {
  const shown = readings.slice(-SAMPLES - 1);
  return shown.slice(1).map((reading, i): Sample => {
    const before = shown[i] ?? reading;
    return {
      timestamp: reading.timestamp,
      arrived: reading.arrived - before.arrived,
      sent: reading.sent - before.sent,
      bytes: reading.bytes - before.bytes,
      connections: reading.connections,
      latencyP50: quantileMs(0.5, reading.latency, before.latency),
      latencyP99: quantileMs(0.99, reading.latency, before.latency),
    };
  });
}
