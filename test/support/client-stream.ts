import { connect } from "../../src/client/connect.ts";
import type { StatusDetail, Stream, StreamEvent, StreamStatus } from "../../src/client/stream.ts";
import type { StreamOptions } from "../../src/client/stream-options.ts";
import { until } from "./feed.ts";
import { publish, type Settings } from "./server.ts";

/** Our own client, with what it told and handed out. Closed by `using`. */
export class ClientStream implements Disposable {
  readonly stream: Stream;
  readonly events: StreamEvent[] = [];
  readonly statuses: { readonly status: StreamStatus; readonly detail: StatusDetail }[] = [];
  /** Everything in its order: `connection false`, `reset expired`, `event 1`, `live 0`. */
  readonly order: string[] = [];

  constructor(options: StreamOptions) {
    this.stream = connect({
      // Tests do not wait for as long as people do.
      backoff: { firstMs: 50, maxMs: 500 },
      ...options,
      onEvent: async (event) => {
        await options.onEvent?.(event);
        this.events.push(event);
        this.order.push(`event ${event.text}`);
      },
      onConnection: ({ resumed }) => this.order.push(`connection ${resumed}`),
      onReset: ({ reason }) => this.order.push(`reset ${reason}`),
      onSkipped: ({ topic, partition, offset, reason }) =>
        this.order.push(`skipped ${topic}/${partition}/${offset} ${reason}`),
      onLive: ({ replayed }) => this.order.push(`live ${replayed}`),
      onStatus: (status, detail) => this.statuses.push({ status, detail }),
    });
  }

  /** A stream that has caught up. */
  static async live(options: StreamOptions): Promise<ClientStream> {
    const client = new ClientStream(options);
    await client.until(() => client.order.some((each) => each.startsWith("live ")));
    return client;
  }

  get data(): readonly unknown[] {
    return this.events.map(({ data }) => data);
  }

  /** Why it was reconnecting, each time. */
  get reasons(): readonly (string | undefined)[] {
    return this.statuses.flatMap(({ status, detail }) =>
      status === "reconnecting" ? [detail.why?.reason] : [],
    );
  }

  until(isTrue: () => boolean): Promise<void> {
    const describe = (): string =>
      `${String(isTrue)}: ${JSON.stringify([this.statuses.slice(-3), this.order.slice(-5)])}`;
    return until(isTrue, { deadlineMs: 30_000, describe });
  }

  has(count: number): Promise<void> {
    return this.until(() => this.events.length >= count);
  }

  [Symbol.dispose](): void {
    this.stream.close();
  }
}

/** Publishes 0, 1, 2 … one after the other, also while the server is away, until it is stopped. */
export function publishNumbers(
  url: string,
  headers: Settings = {},
): { readonly acknowledged: readonly number[]; stop(): Promise<readonly number[]> } {
  const acknowledged: number[] = [];
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    for (let n = 0; !stopping.signal.aborted; n += 1) {
      const answer = await publish(url, { data: n }, headers).catch(() => undefined);
      if (answer?.status === 200) acknowledged.push(n);
      // While it is away, not as fast as this machine can.
      await Bun.sleep(answer ? 1 : 20);
    }
  };
  const running = run();
  return {
    acknowledged,
    stop: async () => {
      stopping.abort();
      await running;
      return acknowledged;
    },
  };
}
