import { constants, setPriority } from "node:os";
import { readOptions } from "./options.ts";
import { quantilesOf } from "./quantiles.ts";
import { openBatchProducer } from "./record-batches.ts";

/**
 * Writes numbered records into Kafka faster than `publisher.ts` can, in batches of its own making.
 *
 *   bun loadtest/produce.ts --kafka 127.0.0.1:9092 --topic events [--rate 50000] [--bytes 200]
 *     [--seconds 10] [--pace-ms 5] [--partitions 3]
 *
 * A record's value is `{"t":<microseconds since 1970>,"n":<number>,"p":"xxx…"}`, of `--bytes` in all (or
 * what the rest takes). Each tick's records are one batch, and batches go round the partitions.
 * It prints its counts as JSON when it has ended, or at SIGTERM.
 */
async function main(): Promise<void> {
  const { numbers, texts } = readOptions(
    {
      rate: { absent: 50_000, least: 1, most: 1_000_000 },
      bytes: { absent: 200, least: 64, most: 65_536 },
      seconds: { absent: 10, least: 0.1, most: 900 },
      paceMs: { absent: 5, least: 1, most: 1_000 },
      partitions: { absent: 3, least: 1, most: 256 },
    },
    ["kafka", "topic"],
  );
  const { kafka = "", topic = "" } = texts;
  if (!/^127\.\d+\.\d+\.\d+:\d+$/.test(kafka)) {
    throw new Error(`--kafka ${kafka} is not an address in 127.0.0.0/8`);
  }
  preferThisProcess();
  const { rate, bytes, seconds, paceMs, partitions } = numbers;
  using producer = await openBatchProducer(kafka, topic);
  const stopping = new AbortController();
  process.once("SIGTERM", () => stopping.abort());
  const underWay = new Set<Promise<void>>();
  const requestMs: number[] = [];
  const lateMs: number[] = [];
  let [made, failed] = [0, 0];
  const start = performance.now();
  const wallStart = Date.now();
  for (let tick = 0; !stopping.signal.aborted && tick * paceMs < seconds * 1_000; tick += 1) {
    const dueMs = tick * paceMs;
    const waitMs = start + dueMs - performance.now();
    if (waitMs > 0) await Bun.sleep(waitMs);
    lateMs.push(performance.now() - start - dueMs);
    const due = Math.floor(((tick + 1) * paceMs * rate) / 1_000);
    const values: string[] = [];
    for (; made < due; made += 1) values.push(valueOf((wallStart + dueMs) * 1_000, made, bytes));
    if (values.length === 0) continue;
    const sentMs = performance.now();
    const sending = producer
      .send(tick % partitions, values, Math.round(wallStart + dueMs))
      .catch((error: unknown) => {
        failed += values.length;
        console.error(`Producing failed: ${String(error)}`);
      })
      .finally(() => {
        requestMs.push(performance.now() - sentMs);
        underWay.delete(sending);
      });
    underWay.add(sending);
    if (underWay.size >= MAX_UNDER_WAY) await Promise.race(underWay);
  }
  const elapsedSeconds = (performance.now() - start) / 1_000;
  await Promise.all(underWay);
  const { user, system } = process.cpuUsage();
  const result = {
    produced: made - failed,
    failed,
    ratePerSecond: made / elapsedSeconds,
    lateMs: quantilesOf(lateMs),
    requestMs: quantilesOf(requestMs),
    cpuSeconds: (user + system) / 1e6,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** So much waits for the broker before the producer does. */
const MAX_UNDER_WAY = 32;

const PADDING = "x".repeat(65_536);

function valueOf(atUs: number, n: number, bytes: number): string {
  const head = `{"t":${Math.round(atUs)},"n":${n},"p":"`;
  return `${head}${PADDING.slice(0, Math.max(0, bytes - head.length - 2))}"}`;
}

/** As in `publisher.ts`: real producers have machines of their own. */
function preferThisProcess(): void {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
  } catch {
    // Only root may ask for that; `lateMs` shows what it cost.
  }
}

await main();
