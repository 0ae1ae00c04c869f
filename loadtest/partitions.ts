import { createKafka } from "../src/kafka/client.ts";
import { createLogger } from "../src/logger.ts";
import { startKafka, uniqueTopic } from "../test/support/kafka.ts";
import type { KafkaCluster } from "../test/support/kafka.ts";
import { faultsOf, figuresOf } from "./figures.ts";
import type { Figures } from "./figures.ts";
import { readOptions } from "./options.ts";
import { startServer } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import * as ranges from "./ranges.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { measurePublished, subscriberOptions } from "./window.ts";
import type { Crowd, Load } from "./window.ts";

/**
 * What long ids cost: an id names the offset of every partition of its topic. The same load with
 * topics of more and more partitions, each in a real Kafka, beside a topic of one.
 *
 *   bun loadtest/partitions.ts [--counts 1,12,100,256] [--subscribers 5000] [--rate 20] [--bytes 100]
 *     [--offset 1000] [--seconds 15] [--warmup 5] [--drain 3] [--sample 50] [--pace-ms 5]
 *
 * Each partition has `--offset` records before it begins, so that offsets are as long as in real topics.
 */
async function main(): Promise<void> {
  const { numbers: settings, texts } = readOptions(
    {
      subscribers: ranges.subscribers(5_000),
      rate: ranges.rate(20),
      bytes: ranges.bytes(100),
      offset: { absent: 1_000, least: 0, most: 100_000 },
      seconds: { ...ranges.lengths.seconds, absent: 15 },
      warmup: ranges.seconds(5),
      drain: ranges.seconds(3),
      sample: ranges.sample(50),
      paceMs: { absent: 5, least: 1, most: 999 },
    },
    ["counts"],
  );
  const counts = (texts.counts ?? "1,12,100,256").split(",").map(Number);
  await buildPrograms();
  await using kafka = await startKafka();
  const rows = await measurePartitions({ ...settings, counts }, kafka);
  print(rows);
  await saveResult("partitions", { settings, rows });
}

/** `counts` are the partitions of the topics; ratios are to the first. Offsets begin at `offset`. */
export interface PartitionSettings extends Crowd, Load, ranges.Lengths {
  readonly counts: readonly number[];
  readonly offset: number;
}

/** What a topic of so many partitions comes to. */
export interface PartitionRow extends Figures {
  readonly partitions: number;
  /** CPU per delivery, beside the first row's. */
  readonly ratio: number;
  /** How long Kafka took to acknowledge a record: median. It is part of the delay. */
  readonly acknowledgedUs: number;
}

/** One after the other, each with a topic and a server of its own. */
export async function measurePartitions(
  settings: PartitionSettings,
  kafka: KafkaCluster,
): Promise<PartitionRow[]> {
  const rows: PartitionRow[] = [];
  for (const partitions of settings.counts) {
    const figures = await measureTopic(partitions, settings, kafka);
    const first = rows[0]?.cpuUsPerDelivery ?? figures.cpuUsPerDelivery;
    rows.push({ partitions, ratio: figures.cpuUsPerDelivery / first, ...figures });
  }
  return rows;
}

async function measureTopic(
  partitions: number,
  settings: PartitionSettings,
  kafka: KafkaCluster,
): Promise<Omit<PartitionRow, "partitions" | "ratio">> {
  const { rate, bytes, paceMs, offset } = settings;
  const topic = uniqueTopic("load");
  await kafka.createTopic(topic, partitions);
  await untilLed(kafka, topic);
  await fill(kafka, topic, partitions, offset);
  await using server = await startServer({
    KAFKA_BROKERS: kafka.brokers.join(","),
    KAFKA_TOPICS: topic,
    DATA_DIR: ":memory:",
  });
  const words = { kafka: kafka.brokers[0] ?? "", topic, rate, bytes, paceMs, partitions };
  const measurement = await measurePublished(server, subscriberOptions(settings), words);
  const acknowledgedUs = measurement.publisher.requestMs.p50 * 1_000;
  return { ...figuresOf(measurement), acknowledgedUs };
}

const LED_DEADLINE_MS = 60_000;

/** A broker takes seconds to lead hundreds of new partitions; a producer gives up before that. */
async function untilLed(kafka: KafkaCluster, topic: string): Promise<void> {
  const deadline = Date.now() + LED_DEADLINE_MS;
  await kafka.withAdmin(async (admin) => {
    for (;;) {
      try {
        await admin.fetchTopicOffsets(topic);
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await Bun.sleep(200);
      }
    }
  });
}

/** Records of one request, over all partitions. */
const FILL_BATCH = 10_000;

/** Puts so many records into each partition. */
async function fill(
  { brokers }: KafkaCluster,
  topic: string,
  partitions: number,
  each: number,
): Promise<void> {
  const config = { brokers, clientId: "load-fill", groupId: "load-fill" };
  const producer = createKafka(config, createLogger("silent")).producer();
  await producer.connect();
  try {
    for (let made = 0; made < partitions * each; made += FILL_BATCH) {
      const length = Math.min(FILL_BATCH, partitions * each - made);
      const messages = Array.from({ length }, (_, index) => ({
        value: "x",
        partition: (made + index) % partitions,
      }));
      await producer.send({ topic, acks: -1, messages });
    }
  } finally {
    await producer.disconnect();
  }
}

function print(rows: readonly PartitionRow[]): void {
  printTable([
    [
      "partitions",
      "CPU µs a delivery",
      "ratio",
      "id bytes",
      "event bytes",
      "cores",
      "acknowledged",
      "p50",
      "p99",
      "faults",
    ],
    ...rows.map((row) => [
      String(row.partitions),
      row.cpuUsPerDelivery.toFixed(2),
      row.ratio.toFixed(2),
      row.idBytes.toFixed(0),
      row.bytesPerEvent.toFixed(0),
      row.cores.toFixed(2),
      formatUs(row.acknowledgedUs),
      formatUs(row.p50Us),
      formatUs(row.p99Us),
      String(faultsOf(row)),
    ]),
  ]);
  warnOfOthers(Math.max(...rows.map(({ othersCores }) => othersCores)));
}

if (import.meta.main) await main();
