import { readFileSync } from "node:fs";

/** What this machine lets a process, a port and an address have. */
export interface MachineLimits {
  /** Files that one process may have open. */
  readonly openFiles: number;
  /** Files that all processes together may have open. */
  readonly allFiles: number;
  /** Connections that may wait at a listening port. */
  readonly waiting: number;
  /** First and last port that an outgoing connection may have. */
  readonly ports: readonly [number, number];
}

/** What a load test is going to open. */
export interface Load {
  readonly streams: number;
  readonly serverProcesses: number;
  readonly generatorProcesses: number;
}

/** Of this machine; Linux only. */
export function readLimits(): MachineLimits {
  const read = (path: string): number[] =>
    readFileSync(path, "utf8").trim().split(/\s+/).map(Number);
  const files = /^Max open files +\S+ +(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  const [first = 0, last = 0] = read("/proc/sys/net/ipv4/ip_local_port_range");
  return {
    openFiles: files === "unlimited" ? Number.POSITIVE_INFINITY : Number(files),
    allFiles: read("/proc/sys/fs/file-max")[0] ?? 0,
    waiting: read("/proc/sys/net/core/somaxconn")[0] ?? 0,
    ports: [first, last],
  };
}

/** What has to be changed before this machine can hold the load, in words; nothing where it can. */
export function obstacles(limits: MachineLimits, load: Load): string[] {
  const { streams, serverProcesses, generatorProcesses } = load;
  const [first, last] = limits.ports;
  // The kernel spreads streams over processes that share a port by chance, so one has some more.
  const server = Math.ceil((streams / serverProcesses) * UNEVEN) + OWN_FILES;
  const generator = Math.ceil(streams / generatorProcesses) + OWN_FILES;
  const files = Math.max(server, generator);
  const portsEach = Math.ceil(streams / SOURCES);
  const wanted: [boolean, string][] = [
    [
      files > limits.openFiles,
      `A process needs ${files} open files and may have ${limits.openFiles}: ` +
        `raise it (ulimit -Hn ${files}, as root), or take more --workers and --processes`,
    ],
    [
      2 * streams + OWN_FILES > limits.allFiles,
      `All processes together need ${2 * streams + OWN_FILES} open files and may have ` +
        `${limits.allFiles}: sysctl -w fs.file-max=${4 * streams}`,
    ],
    [
      limits.waiting < LEAST_WAITING,
      `Only ${limits.waiting} connections may wait at a port: ` +
        `sysctl -w net.core.somaxconn=${LEAST_WAITING}`,
    ],
    [
      portsEach > last - first,
      `Each of ${SOURCES} source addresses needs ${portsEach} ports and has ${last - first}: ` +
        `sysctl -w net.ipv4.ip_local_port_range="10240 65535"`,
    ],
  ];
  return wanted.filter(([isMissing]) => isMissing).map(([, what]) => what);
}

/** Beside its streams: the log, threads, Kafka, other clients. */
const OWN_FILES = 300;
/** How much more than its share a worker may get. */
const UNEVEN = 1.05;
/** What the server asks for; fewer would refuse streams that come fast. */
const LEAST_WAITING = 512;
/** As in `subscribers.c`. */
const SOURCES = 9;
