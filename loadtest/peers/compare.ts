import { readOptions } from "../options.ts";
import { buildPrograms } from "../programs.ts";
import { formatUs, printTable, saveResult, warnOfOthers } from "../report.ts";
import { betterSse } from "./better-sse.ts";
import { centrifugo } from "./centrifugo.ts";
import { canPin, pin } from "./cpus.ts";
import { headgate } from "./headgate.ts";
import { findHighest } from "./highest.ts";
import { mercure } from "./mercure.ts";
import { nchan } from "./nchan.ts";
import type { InstalledPeer, Peer } from "./peer.ts";
import { runTrial } from "./trial.ts";
import type { Trial } from "./trial.ts";

/**
 * What other servers deliver on one core of this machine beside Headgate, to the same subscribers: the cost of
 * a delivery at a low rate, and the highest rate that each keeps up with.
 *
 *   bun loadtest/peers/compare.ts [--peers Headgate,Mercure,Centrifugo,Nchan,better-sse]
 *     [--subscribers 5000] [--rate 20] [--bytes 100] [--seconds 10]
 *     [--most-rate 20000] [--search-seconds 4] [--steps 3] [--most-delay-ms 1000]
 *
 * Each is installed into the cache folder (~/.cache/headgate-peers), of which nothing is removed. Mercure needs
 * Go, Centrifugo too, Nchan Debian with nginx, better-sse Node and npm; who cannot be had is listed with the reason.
 */
async function main(): Promise<void> {
  const { numbers, texts } = readOptions(
    {
      subscribers: { absent: 5_000, least: 1, most: 18_999 },
      rate: { absent: 20, least: 1, most: 20_000 },
      bytes: { absent: 100, least: 0, most: 65_536 },
      seconds: { absent: 10, least: 1, most: 600 },
      mostRate: { absent: 20_000, least: 1, most: 200_000 },
      searchSeconds: { absent: 4, least: 1, most: 60 },
      steps: { absent: 3, least: 0, most: 10 },
      mostDelayMs: { absent: 1_000, least: 1, most: 60_000 },
    },
    ["peers"],
  );
  const result = await measurePeers({ ...numbers, peers: texts.peers?.split(",") });
  print(result);
  await saveResult("peers", result);
}

export interface PeersSettings {
  readonly subscribers: number;
  /** Events a second where the cost of a delivery is measured, and where the search begins. */
  readonly rate: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly mostRate: number;
  readonly searchSeconds: number;
  readonly steps: number;
  readonly mostDelayMs: number;
  /** Names; all where it is left out. */
  readonly peers?: readonly string[] | undefined;
}

export interface PeersResult {
  readonly settings: PeersSettings;
  /** Whether the server had a CPU of its own, and only that. */
  readonly isPinned: boolean;
  readonly rows: readonly PeerRow[];
}

export type PeerRow = MeasuredPeer | MissingPeer;

export interface MeasuredPeer {
  readonly name: string;
  readonly version: string;
  /** At the settings' rate. */
  readonly steady: Trial;
  /** At the highest rate that was kept up with; undefined where even the settings' rate was too much. */
  readonly highest: Trial | undefined;
  readonly attempts: readonly Trial[];
}

export interface MissingPeer {
  readonly name: string;
  readonly reason: string;
}

const PEERS: readonly Peer[] = [headgate, mercure, centrifugo, nchan, betterSse];

/** Measures them one after another, each trial with a server of its own. */
export async function measurePeers(settings: PeersSettings): Promise<PeersResult> {
  const { peers: names = PEERS.map(({ name }) => name) } = settings;
  const unknown = names.find((name) => !PEERS.some((peer) => peer.name === name));
  if (unknown !== undefined) throw new Error(`--peers ${JSON.stringify(unknown)}: no such peer`);
  await buildPrograms();
  const rows: PeerRow[] = [];
  for (const peer of PEERS) {
    if (names.includes(peer.name)) rows.push(await measurePeer(peer, settings));
  }
  return { settings, isPinned: canPin, rows };
}

async function measurePeer(peer: Peer, settings: PeersSettings): Promise<PeerRow> {
  const { name } = peer;
  let installed: InstalledPeer;
  try {
    installed = await peer.install();
  } catch (error) {
    return { name, reason: reasonOf(error) };
  }
  // What this process starts runs where it does: the subscribers. The servers are moved away.
  await pin(process.pid, "others");
  try {
    return await measureInstalled(name, installed, settings);
  } catch (error) {
    return { name, reason: reasonOf(error) };
  }
}

async function measureInstalled(
  name: string,
  installed: InstalledPeer,
  settings: PeersSettings,
): Promise<PeerRow> {
  const { rate, mostRate: most, steps, searchSeconds } = settings;
  const steady = await runTrial(installed, settings);
  tell(name, steady);
  if (steady.deliveriesPerSecond === 0) return { name, reason: "no event of it was counted" };
  const { highest, attempts } = await findHighest({ from: rate, most, steps }, async (tried) => {
    const trial = await runTrial(installed, { ...settings, rate: tried, seconds: searchSeconds });
    tell(name, trial);
    return trial;
  });
  return { name, version: installed.version, steady, highest, attempts };
}

function tell(name: string, { rate, keepsUp, delivered, p99Us, serverCores }: Trial): void {
  const share = `${(delivered * 100).toFixed(1)}% delivered`;
  const rest = `p99 ${formatUs(p99Us)}, ${serverCores.toFixed(2)} cores`;
  console.error(`${name} at ${rate}/s: ${keepsUp ? "kept up" : "too much"}, ${share}, ${rest}`);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A reader that is busier than that may be what limits the rate. */
const FULL = 0.9;

function print({ settings, isPinned, rows }: PeersResult): void {
  const { subscribers, rate, bytes, mostDelayMs } = settings;
  const where = isPinned ? "the server on one CPU, all else on the others" : "CPUs are shared";
  console.log(`${subscribers} subscribers, events of ${bytes} bytes; ${where}\n`);
  const measured = rows.filter((row) => "steady" in row);
  const ours = measured.find(({ name }) => name === headgate.name);
  const ratio = (mine?: number, its?: number): string =>
    mine === undefined || its === undefined ? "" : (mine / its).toFixed(2);
  printTable([
    ["", `CPU µs a delivery at ${rate}/s`, "Headgate ÷", "p50", "p99", "version"],
    ...measured.map(({ name, version, steady }) => [
      name,
      steady.cpuUsPerDelivery.toFixed(2),
      ratio(ours?.steady.cpuUsPerDelivery, steady.cpuUsPerDelivery),
      formatUs(steady.p50Us),
      formatUs(steady.p99Us),
      version,
    ]),
  ]);
  console.log(`\nThe most of which 99% are delivered, with a p99 below ${mostDelayMs} ms:\n`);
  printTable([
    ["", "deliveries/s", "Headgate ÷", "events/s", "p99", "cores", "cores of the reader"],
    ...measured.map(({ name, highest }) =>
      highest === undefined
        ? [name, "none"]
        : [
            name,
            highest.deliveriesPerSecond.toFixed(0),
            ratio(ours?.highest?.deliveriesPerSecond, highest.deliveriesPerSecond),
            String(highest.rate),
            formatUs(highest.p99Us),
            highest.serverCores.toFixed(2),
            `${highest.readerCores.toFixed(2)}${highest.readerCores > FULL ? " (full)" : ""}`,
          ],
    ),
  ]);
  for (const row of rows) if ("reason" in row) console.log(`\n${row.name}: ${row.reason}`);
  warnOfOthers(Math.max(0, ...measured.map(({ steady }) => steady.othersCores)));
}

if (import.meta.main) await main();
