import { startKafka, uniqueTopic } from "../test/support/kafka.ts";
import { readNumbers } from "./options.ts";
import { measure, startPublisher, startServer } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import type { PublisherResult } from "./publisher.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";

/**
 * How long a record takes from its producer through a real Kafka broker and Headgate to a subscriber.
 *
 *   bun loadtest/kafka-latency.ts [--subscribers 1000] [--rate 1000] [--bytes 100] [--seconds 15]
 *     [--partitions 3] [--nodes 1|3]
 */
async function main(): Promise<void> {
  const settings = readNumbers({
    subscribers: { absent: 1_000, least: 1, most: 18_999 },
    rate: { absent: 1_000, least: 1, most: 50_000 },
    bytes: { absent: 100, least: 0, most: 65_536 },
    seconds: { absent: 15, least: 1, most: 600 },
    partitions: { absent: 3, least: 1, most: 100 },
    nodes: { absent: 1, least: 1, most: 3 },
  });
  const { subscribers: connections, rate, bytes, seconds, partitions } = settings;
  await buildPrograms();
  await using kafka = await startKafka({ nodes: settings.nodes === 3 ? 3 : 1 });
  const topic = uniqueTopic("load");
  await kafka.createTopic(topic, partitions);
  await using server = await startServer({
    KAFKA_BROKERS: kafka.brokers.join(","),
    KAFKA_TOPICS: topic,
    DATA_DIR: ":memory:",
  });
  let stopped: Promise<PublisherResult> | undefined;
  let stop = (): void => {};
  const options = { connections, seconds, sample: 20, warmup: WARMUP_S, drain: DRAIN_S };
  const { subscribers, serverCpuSeconds, othersCores } = await measure(server, options, {
    onOpen: () => {
      const limit = seconds + WARMUP_S + 30;
      const to = { kafka: kafka.brokers[0] ?? "", topic };
      const publisher = startPublisher({ ...to, rate, bytes, seconds: limit });
      stop = () => {
        stopped = publisher.stop();
      };
    },
    onMeasured: () => stop(),
  });
  if (stopped === undefined) throw new Error("The subscribers ended before the publisher began");
  const publisher = await stopped;
  const { latencyUs, measured } = subscribers;
  printTable([
    ["subscribers", String(subscribers.ok)],
    ["records/s", publisher.ratePerSecond.toFixed(0)],
    ["deliveries/s", (measured.deliveries / measured.seconds).toFixed(0)],
    ["delay p50", formatUs(latencyUs.p50)],
    ["delay p90", formatUs(latencyUs.p90)],
    ["delay p99", formatUs(latencyUs.p99)],
    ["delay max", formatUs(latencyUs.max)],
    ["acknowledged by Kafka p50", `${publisher.requestMs.p50} ms`],
    ["acknowledged by Kafka p99", `${publisher.requestMs.p99} ms`],
    ["cores of the server", (serverCpuSeconds / measured.seconds).toFixed(2)],
    ["gaps", String(subscribers.gaps)],
    ["repeats", String(subscribers.repeats)],
    ["overtaken by another partition's", String(subscribers.reordered)],
  ]);
  warnOfOthers(othersCores);
  await saveResult("kafka-latency", {
    settings,
    serverCpuSeconds,
    othersCores,
    publisher,
    subscribers,
  });
}

const WARMUP_S = 5;
const DRAIN_S = 3;

await main();
