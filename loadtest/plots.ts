import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { barChart, formatNumber, panelChart } from "./charts.ts";

/**
 * Draws what the load tests have measured: reads loadtest/results/*.json, and writes docs/images/loadtest-*.svg.
 *
 *   bun loadtest/plots.ts
 *
 * A result that is not there is left out, and its picture stays as it was.
 */
async function main(): Promise<void> {
  const results = join(import.meta.dir, "results");
  const images = join(import.meta.dir, "../docs/images");
  await mkdir(images, { recursive: true });
  for (const { name, draw } of PLOTS) {
    const file = Bun.file(join(results, `${name}.json`));
    if (!(await file.exists())) {
      console.log(`${name}: left out, there is no loadtest/results/${name}.json`);
      continue;
    }
    const image = `loadtest-${name}.svg`;
    try {
      await Bun.write(join(images, image), draw(await file.json()));
      console.log(`${name}: docs/images/${image}`);
    } catch (error) {
      // One of another form, as an older program wrote it, says nothing of the others.
      console.error(`${name}: loadtest/results/${name}.json cannot be drawn: ${String(error)}`);
      process.exitCode = 1;
    }
  }
}

export interface Plot {
  /** Of the result it is drawn from, and of the picture. */
  readonly name: string;
  /** The SVG. Throws where the result is not of the form that its program writes. */
  readonly draw: (result: unknown) => string;
}

export const PLOTS: readonly Plot[] = [
  { name: "peers", draw: drawPeers },
  { name: "fanout", draw: drawFanout },
  { name: "partitions", draw: drawPartitions },
  { name: "workers", draw: drawWorkers },
  { name: "compression", draw: drawCompression },
];

const Machine = z.object({ cpu: z.string(), cores: z.number() });

const Load = z.object({
  subscribers: z.number(),
  bytes: z.number().optional(),
  rate: z.number().optional(),
});

const Peers = z.object({
  machine: Machine,
  settings: Load.omit({ rate: true }).extend({ mostDelayMs: z.number() }),
  rows: z.array(
    z.object({
      name: z.string(),
      highest: z.object({ deliveriesPerSecond: z.number() }).optional(),
    }),
  ),
});

function drawPeers(result: unknown): string {
  const { machine, settings, rows } = Peers.parse(result);
  const bars = rows.flatMap(({ name, highest }) =>
    highest === undefined
      ? []
      : [{ label: name, value: highest.deliveriesPerSecond, isOurs: name === "Headgate" }],
  );
  const missing = rows.filter(({ highest }) => highest === undefined).map(({ name }) => name);
  const notes = [
    ...loadOf(settings),
    `p99 below ${settings.mostDelayMs / 1_000} s`,
    cpuOf(machine),
    ...(missing.length > 0 ? [`not measured: ${missing.join(", ")}`] : []),
  ];
  return barChart(
    { title: "Deliveries a second on one core", notes },
    "deliveries a second",
    bars.toSorted((a, b) => b.value - a.value),
  );
}

const Cost = z.object({ cpuUsPerDelivery: z.number() });

const Fanout = z.object({
  machine: Machine,
  settings: Load,
  summaries: z.object({ headgate: Cost, floor: Cost }),
});

function drawFanout(result: unknown): string {
  const { machine, settings, summaries } = Fanout.parse(result);
  const { headgate, floor } = summaries;
  return barChart(
    {
      title: "CPU time of a delivery, beside the machine's floor",
      notes: [...loadOf(settings), cpuOf(machine)],
    },
    "µs of the server's CPU time a delivery",
    [
      { label: "Headgate", value: headgate.cpuUsPerDelivery, isOurs: true },
      { label: "floor", value: floor.cpuUsPerDelivery, isOurs: false },
    ],
  );
}

const Partitions = z.object({
  machine: Machine,
  settings: Load,
  rows: z.array(Cost.extend({ partitions: z.number() })).min(1),
});

function drawPartitions(result: unknown): string {
  const { machine, settings, rows } = Partitions.parse(result);
  const points = rows.map(({ partitions, cpuUsPerDelivery }) => ({
    x: formatCount(partitions),
    y: cpuUsPerDelivery,
  }));
  return panelChart(
    {
      title: "What ids that name more partitions cost",
      notes: [...loadOf(settings), cpuOf(machine)],
    },
    "partitions of a subscription",
    [{ label: "µs of CPU time a delivery", points }],
  );
}

const Workers = z.object({
  machine: Machine,
  settings: Load,
  rows: z
    .array(
      z.object({
        workers: z.number(),
        rssMb: z.number(),
        cores: z.number(),
        deliveriesPerSecond: z.number(),
      }),
    )
    .min(1),
});

function drawWorkers(result: unknown): string {
  const { machine, settings, rows } = Workers.parse(result);
  const over = (read: (row: (typeof rows)[number]) => number): { x: string; y: number }[] =>
    rows.map((row) => ({ x: String(row.workers), y: read(row) }));
  return panelChart(
    { title: "What workers take, and give", notes: [...loadOf(settings), cpuOf(machine)] },
    "workers",
    [
      { label: "Deliveries a second", points: over((row) => row.deliveriesPerSecond) },
      { label: "Cores in use", points: over((row) => row.cores) },
      { label: "Memory, MB", points: over((row) => row.rssMb) },
    ],
  );
}

const Compression = z.object({
  machine: Machine,
  // Its rates are its steps.
  settings: Load.omit({ rate: true }),
  rows: z
    .array(z.object({ rate: z.number(), bytesRatio: z.number(), cpuRatio: z.number() }))
    .min(1),
});

function drawCompression(result: unknown): string {
  const { machine, settings, rows } = Compression.parse(result);
  const reference = { y: 1, label: "without gzip" };
  const over = (read: (row: (typeof rows)[number]) => number): { x: string; y: number }[] =>
    rows.map((row) => ({ x: formatCount(row.rate), y: read(row) }));
  return panelChart(
    {
      title: "Streams as gzip, beside the same without",
      notes: [...loadOf(settings), cpuOf(machine)],
    },
    "events a second",
    [
      { label: "Bytes on the wire, ratio", points: over((row) => row.bytesRatio), reference },
      { label: "CPU time of the server, ratio", points: over((row) => row.cpuRatio), reference },
    ],
  );
}

function loadOf({ subscribers, bytes, rate }: z.infer<typeof Load>): readonly string[] {
  return [
    `${formatCount(subscribers)} subscribers`,
    ...(rate === undefined ? [] : [`${formatCount(rate)} events/s`]),
    ...(bytes === undefined ? [] : [`events of ${bytes} bytes`]),
  ];
}

function cpuOf({ cpu, cores }: z.infer<typeof Machine>): string {
  // Some have long names, of which the start says enough: `Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz`.
  const name = cpu.replaceAll(/\((?:R|TM)\)| CPU| @.*$/g, "");
  return `${name}, ${cores} cores`;
}

/** Whole numbers, in full where they are short. */
function formatCount(count: number): string {
  return count < 10_000 ? count.toLocaleString("en-US") : formatNumber(count);
}

if (import.meta.main) await main();
