import type { Config } from "../config.ts";
import type { Backend } from "../http/context.ts";
import type { OutgoingRecord } from "../log/publisher.ts";
import type { Channel } from "./channel.ts";
import type { FeederOffers, FeederState } from "./contract.ts";

interface RemoteBackendOptions {
  readonly config: Config;
  /** As the feeding process has last said it. */
  readonly state: () => FeederState;
}

/** What a worker is fed by: the other process, asked over the channel. */
export function remoteBackend(
  feeder: Channel<FeederOffers>,
  { config, state }: RemoteBackendOptions,
): Backend {
  let nextSlot = 1;
  const isRateLimited = config.publishing.rate > 0;
  return {
    publishing: {
      topics: config.heldTopics,
      defaultTopic: config.streams.defaultTopic,
      publish: (records, idempotency) =>
        feeder.call("publish", { records: records.map(packed), idempotency }),
    },
    limits: {
      async admit(owner) {
        const id = nextSlot++;
        const refusal = await feeder.call("takeSlot", { id, owner });
        // Given back twice is given back once: the number is not used again.
        return refusal ?? (() => feeder.tell("releaseSlot", id));
      },
    },
    rate: {
      // Without a limit there is nothing to ask for.
      admit: (sender, events) =>
        isRateLimited ? feeder.call("admit", { sender, events }) : undefined,
    },
    missing: () => state().missing,
    degraded: () => state().degraded,
    kafkaStatus: () => feeder.call("kafkaStatus", undefined),
    metricsPage: () => feeder.call("metricsPage", undefined),
    dashboard: {
      recentJson: () => feeder.call("dashboardJson", "recent"),
      newJson: () => feeder.call("dashboardJson", "new"),
      status: () => feeder.call("serverStatus", undefined),
    },
  };
}

/** A view of a few bytes would take all that it is a view of along. */
function packed(record: OutgoingRecord): OutgoingRecord {
  const pack = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);
  return {
    ...record,
    key: record.key && pack(record.key),
    value: record.value && pack(record.value),
    headers: record.headers.map(([name, value]) => [name, pack(value)]),
  };
}
