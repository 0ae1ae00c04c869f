import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { isQuick } from "./effort.ts";

const JARS = process.env["KAFKA_LIBS"] ?? join(homedir(), ".cache", "headgate-kafka-4.3.1");
const POM = join(import.meta.dir, "kafka-pom.xml");
const LOG4J = join(import.meta.dir, "kafka-log4j2.properties");
const CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw";
const START_DEADLINE_MS = 60_000;

/** Where a node listens. */
export interface NodePorts {
  readonly broker: number;
  readonly controller: number;
}

/** Whether a broker can be started here: Java, and the jars or the means to fetch them. */
export function canRunKafka(): boolean {
  if (isQuick) return false;
  return Bun.which("java") !== null && (hasJars() || Bun.which("mvn") !== null);
}

/** Fetches the broker's jars from Maven Central, once per machine. */
export async function fetchJars(): Promise<void> {
  if (hasJars()) return;
  mkdirSync(JARS, { recursive: true });
  const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
  const options = ["-DincludeScope=runtime", `-DoutputDirectory=${JARS}`];
  await run(["mvn", "-B", "-q", "-f", POM, goal, ...options]);
  writeFileSync(join(JARS, ".complete"), "");
}

/** Sends lines with Kafka's own producer, which compresses as most producers in the wild do. */
export async function produceWithJava(
  brokers: readonly string[],
  topic: string,
  codec: "none" | "gzip" | "snappy" | "lz4" | "zstd",
  lines: readonly string[],
): Promise<void> {
  await fetchJars();
  const tool = ["org.apache.kafka.tools.ConsoleProducer", "--compression-codec", codec];
  const to = ["--bootstrap-server", brokers.join(","), "--topic", topic];
  await run(["java", ...javaOptions(), ...tool, ...to], `${lines.join("\n")}\n`);
}

/** A port that nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/**
 * Ends the brokers of `dir` and removes it when this process is gone, however it went: `bun test`
 * runs no exit handlers, and SIGKILL leaves no time for any.
 */
export function watchOver(dir: string): void {
  const script = 'cat >/dev/null; cat "$1"/*.pid 2>/dev/null | xargs kill -9; sleep 1; rm -rf "$1"';
  const watcher = Bun.spawn(["sh", "-c", script, "sh", dir], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  watcher.unref();
}

/** One broker and controller in a process of its own; its data outlives the process. */
export class KafkaNode {
  readonly #dir: string;
  readonly #id: number;
  readonly #ports: NodePorts;
  #process: Bun.Subprocess | undefined;

  constructor(dir: string, id: number, ports: NodePorts) {
    this.#dir = dir;
    this.#id = id;
    this.#ports = ports;
  }

  get address(): string {
    return `127.0.0.1:${this.#ports.broker}`;
  }

  /** Where the partitions' segment files lie. */
  get dataDir(): string {
    return join(this.#dir, `data${this.#id}`);
  }

  /** Writes the configuration and formats the data directory of a cluster of `all` nodes. */
  async format(all: readonly NodePorts[], properties: Record<string, string>): Promise<void> {
    const lines = { ...nodeProperties(this.#id, all, this.dataDir), ...properties };
    const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(this.#propertiesFile, text.join(""));
    const voters = all.map(
      ({ controller }, index) => `${index + 1}@127.0.0.1:${controller}:${directoryId(index + 1)}`,
    );
    const how = all.length === 1 ? ["--standalone"] : ["--initial-controllers", voters.join(",")];
    const format = ["kafka.tools.StorageTool", "format", ...how, "--ignore-formatted"];
    const what = ["-t", CLUSTER_ID, "-c", this.#propertiesFile];
    await run(["java", ...javaOptions(), ...format, ...what]);
  }

  /** Starts the process; resolves when the broker takes connections. */
  async start(): Promise<void> {
    const log = openSync(this.#logFile, "a");
    const command = ["java", "-Xms256m", "-Xmx512m", ...javaOptions(), "kafka.Kafka"];
    const child = Bun.spawn([...command, this.#propertiesFile], {
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    closeSync(log);
    child.unref();
    this.#process = child;
    writeFileSync(this.#pidFile, `${child.pid}\n`);
    const deadline = Date.now() + START_DEADLINE_MS;
    while (!(await accepts(this.#ports.broker))) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        const tail = readFileSync(this.#logFile, "utf8").slice(-2_000);
        throw new Error(`Kafka node ${this.#id} did not start:\n${tail}`);
      }
      await Bun.sleep(50);
    }
  }

  signal(signal: "SIGKILL" | "SIGTERM" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  /** SIGSTOP. Its threads stop one by one: after this none of them answers any more. */
  pause(): void {
    const pid = this.#process?.pid;
    if (pid === undefined) return;
    this.#process?.kill("SIGSTOP");
    const deadline = performance.now() + 1000;
    while (!isStopped(pid) && performance.now() < deadline) Bun.sleepSync(1);
  }

  /** Resolves when the process is gone. */
  async exited(): Promise<void> {
    await this.#process?.exited;
    rmSync(this.#pidFile, { force: true });
  }

  get #propertiesFile(): string {
    return join(this.#dir, `node${this.#id}.properties`);
  }

  /** There while the process runs: `watchOver` reads it. */
  get #pidFile(): string {
    return join(this.#dir, `node${this.#id}.pid`);
  }

  get #logFile(): string {
    return join(this.#dir, `node${this.#id}.log`);
  }
}

function hasJars(): boolean {
  return existsSync(join(JARS, ".complete"));
}

function javaOptions(): string[] {
  const jars = readdirSync(JARS).filter((name) => name.endsWith(".jar"));
  const classpath = jars.toSorted().map((name) => join(JARS, name));
  const light = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];
  return [...light, `-Dlog4j2.configurationFile=file:${LOG4J}`, "-cp", classpath.join(":")];
}

function directoryId(node: number): string {
  return Buffer.from(`HEADGATE-NODE-${String(node).padStart(2, "0")}`).toString("base64url");
}

function nodeProperties(
  id: number,
  all: readonly NodePorts[],
  dataDir: string,
): Record<string, string> {
  const own = all[id - 1];
  if (own === undefined) throw new Error(`No ports for node ${id}`);
  const replicas = String(all.length);
  const inSync = all.length > 1 ? "2" : "1";
  const listeners = `PLAINTEXT://127.0.0.1:${own.broker},CONTROLLER://127.0.0.1:${own.controller}`;
  return {
    "process.roles": "broker,controller",
    "node.id": String(id),
    listeners,
    "advertised.listeners": listeners,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "controller.quorum.bootstrap.servers": all
      .map(({ controller }) => `127.0.0.1:${controller}`)
      .join(","),
    "log.dirs": dataDir,
    "default.replication.factor": replicas,
    "min.insync.replicas": inSync,
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": replicas,
    "transaction.state.log.num.partitions": "2",
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": inSync,
    "share.coordinator.state.topic.num.partitions": "2",
    "share.coordinator.state.topic.replication.factor": replicas,
    "share.coordinator.state.topic.min.isr": inSync,
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "1",
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
  };
}

async function run(command: string[], input = ""): Promise<void> {
  const stdin = Buffer.from(input);
  const child = Bun.spawn(command, { stdin, stdout: "pipe", stderr: "pipe" });
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if (code !== 0) throw new Error(`${command[0]} failed:\n${`${out}${err}`.slice(-2_000)}`);
}

/** On 4.x an accepted connection means that the broker is ready. */
async function accepts(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: { data: () => undefined },
    });
    socket.end();
    return true;
  } catch {
    return false;
  }
}

/** Whether every thread of a process stands still, as Linux tells it; elsewhere nobody does. */
function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  try {
    return readdirSync(tasks).every((task) =>
      /^State:\s+T/m.test(readFileSync(join(tasks, task, "status"), "utf8")),
    );
  } catch {
    // One of them has ended meanwhile.
    return false;
  }
}
