import { measure, startPublisher, startServer } from "./processes.ts";
import type { Measurement, Server } from "./processes.ts";
import { buildPrograms, startFloor } from "./programs.ts";
import type { SubscriberOptions } from "./programs.ts";
import type { PublisherResult } from "./publisher.ts";
import { readNumbers } from "./options.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "./report.ts";
import { cpuSecondsOf } from "./usage.ts";

/**
 * What one event to one subscriber costs Headgate, beside what the machine allows: the same subscribers
 * on Headgate and on the floor program, one after the other.
 *
 *   bun loadtest/fanout.ts [--subscribers 5000] [--rate 1000] [--bytes 100] [--seconds 20] [--sample 50]
 */
async function main(): Promise<void> {
  const settings = readSettings();
  await buildPrograms();
  console.log(
    `${settings.subscribers} subscribers, ${settings.rate} events/s of ${settings.bytes} bytes`,
  );
  const headgate = await runHeadgate(settings);
  const floor = await runFloor(settings, Math.round(headgate.subscribers.idBytes));
  const summaries = [summary("Headgate", headgate), summary("floor", floor)] as const;
  print(...summaries);
  const { publisher, publishingCores } = headgate;
  const lines = [
    `Taking the events without any subscriber costs Headgate ${publishingCores.toFixed(3)} of a core.`,
    `The publisher reached ${publisher.ratePerSecond.toFixed(0)} events/s, ${publisher.failed} failed;` +
      ` they left it ${publisher.lateMs.p99} ms late (p99).`,
  ];
  console.log(`\n${lines.join("\n")}`);
  warnOfOthers(Math.max(headgate.othersCores, floor.othersCores));
  await saveResult("fanout", { settings, summaries, headgate, floor });
}

interface Settings {
  subscribers: number;
  rate: number;
  bytes: number;
  seconds: number;
  sample: number;
  paceMs: number;
}

interface HeadgateMeasurement extends Measurement {
  readonly publisher: PublisherResult;
  /** Cores that the server uses to take the same events without a subscriber. */
  readonly publishingCores: number;
}

interface Summary {
  name: string;
  deliveriesPerSecond: number;
  /** Of the server process; 1 is a whole core. */
  cores: number;
  cpuUsPerDelivery: number;
  cpuUsPerWrite: number;
  eventsPerWrite: number;
  p50Us: number;
  p99Us: number;
  gaps: number;
  repeats: number;
  streamsLost: number;
}

const WARMUP_S = 4;
const DRAIN_S = 2;
const PUBLISHING_ONLY_S = 5;

async function runHeadgate(settings: Settings): Promise<HeadgateMeasurement> {
  await using server = await startServer({ DATA_DIR: ":memory:" });
  const publish = publisherOptions(server, settings);
  const publishingCores = await measurePublishing(server, publish);
  let publisher: Promise<PublisherResult> | undefined;
  let stop = (): void => {};
  const measurement = await measure(server, subscriberOptions(settings), {
    onOpen: () => {
      const running = startPublisher(publish);
      stop = () => {
        publisher = running.stop();
      };
    },
    onMeasured: () => stop(),
  });
  if (publisher === undefined) throw new Error("The subscribers ended before the publisher began");
  return { ...measurement, publisher: await publisher, publishingCores };
}

async function runFloor(settings: Settings, idBytes: number): Promise<Measurement> {
  const { rate, bytes, paceMs } = settings;
  // It ends by itself some time after the subscribers have.
  const seconds = settings.seconds + WARMUP_S + DRAIN_S + settings.subscribers / 1_000 + 60;
  await using floor = await startFloor({ rate, bytes, idBytes, paceMs, seconds });
  return await measure(floor, subscriberOptions(settings));
}

/** How much of a core the events take without a subscriber. */
async function measurePublishing(
  server: Server,
  publish: Record<string, string | number>,
): Promise<number> {
  const publisher = startPublisher(publish);
  // The publisher starts, and the server's code is compiled, outside of the window.
  await Bun.sleep(1_500);
  const [before, start] = [cpuSecondsOf(server.pid), performance.now()];
  await Bun.sleep(PUBLISHING_ONLY_S * 1_000);
  const share = (cpuSecondsOf(server.pid) - before) / ((performance.now() - start) / 1_000);
  await publisher.stop();
  return share;
}

function publisherOptions({ port }: Server, settings: Settings): Record<string, string | number> {
  const { rate, bytes, seconds, paceMs } = settings;
  // It is stopped with the window; this is for a driver that died.
  return {
    target: `http://127.0.0.1:${port}`,
    rate,
    bytes,
    paceMs,
    seconds: seconds + WARMUP_S + 30,
  };
}

function subscriberOptions({ subscribers, seconds, sample }: Settings): SubscriberOptions {
  return { connections: subscribers, seconds, sample, warmup: WARMUP_S, drain: DRAIN_S };
}

function summary(name: string, { subscribers, serverCpuSeconds }: Measurement): Summary {
  const { measured, latencyUs, gaps, repeats, ok, failed, closedByServer, sampled } = subscribers;
  // Writes are counted on sampled streams only; all streams are written to alike.
  const writes = (measured.writes * ok) / sampled;
  return {
    name,
    deliveriesPerSecond: measured.deliveries / measured.seconds,
    cores: serverCpuSeconds / measured.seconds,
    cpuUsPerDelivery: (serverCpuSeconds * 1e6) / measured.deliveries,
    cpuUsPerWrite: (serverCpuSeconds * 1e6) / writes,
    eventsPerWrite: measured.events / measured.writes,
    p50Us: latencyUs.p50,
    p99Us: latencyUs.p99,
    gaps,
    repeats,
    streamsLost: failed + closedByServer,
  };
}

function print(headgate: Summary, floor: Summary): void {
  const line = (name: string, show: (row: Summary) => string, of?: keyof Summary): string[] => {
    const ratio = of === undefined ? "" : (Number(headgate[of]) / Number(floor[of])).toFixed(2);
    return [name, show(headgate), show(floor), ratio];
  };
  printTable([
    ["", headgate.name, floor.name, "ratio"],
    line("deliveries/s", (row) => row.deliveriesPerSecond.toFixed(0), "deliveriesPerSecond"),
    line("cores of the server", (row) => row.cores.toFixed(2), "cores"),
    line("CPU µs per delivery", (row) => row.cpuUsPerDelivery.toFixed(3), "cpuUsPerDelivery"),
    line("CPU µs per write", (row) => row.cpuUsPerWrite.toFixed(2), "cpuUsPerWrite"),
    line("events per write", (row) => row.eventsPerWrite.toFixed(1), "eventsPerWrite"),
    line("delay p50", (row) => formatUs(row.p50Us), "p50Us"),
    line("delay p99", (row) => formatUs(row.p99Us), "p99Us"),
    line("gaps", (row) => String(row.gaps)),
    line("repeats", (row) => String(row.repeats)),
    line("streams lost", (row) => String(row.streamsLost)),
  ]);
}

function readSettings(): Settings {
  return readNumbers({
    subscribers: { absent: 5_000, least: 1, most: 18_999 },
    rate: { absent: 1_000, least: 1, most: 200_000 },
    bytes: { absent: 100, least: 0, most: 65_536 },
    seconds: { absent: 20, least: 1, most: 600 },
    sample: { absent: 50, least: 1, most: 18_999 },
    paceMs: { absent: 5, least: 1, most: 999 },
  });
}

await main();
