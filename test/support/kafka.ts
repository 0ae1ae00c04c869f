import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Admin } from "kafkajs";
import { createKafka } from "../../src/kafka/client.ts";
import { createLogger } from "../../src/logger.ts";
import { isQuick } from "./effort.ts";
import { canRunKafka, fetchJars, freePort, KafkaNode, watchOver } from "./kafka-node.ts";
import type { NodePorts } from "./kafka-node.ts";

/** A running Kafka. Nodes count from 1. */
export interface KafkaCluster extends AsyncDisposable {
  readonly brokers: string[];
  /** Somebody else's cluster (KAFKA_BROKERS): its nodes cannot be touched. */
  readonly external: boolean;
  /** SIGKILL; resolves when the process is gone. */
  kill(node: number): Promise<void>;
  /** SIGTERM; resolves when the process is gone. */
  stop1(node: number): Promise<void>;
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(node: number): void;
  resume(node: number): void;
  /** Starts a node again that was killed or stopped. */
  start(node: number): Promise<void>;
  /** Where a node's segment files lie. */
  dataDir(node: number): string;
  createTopic(name: string, partitions: number, configs?: Record<string, string>): Promise<void>;
  deleteTopic(name: string): Promise<void>;
  /** Runs `use` with an admin client. */
  withAdmin<T>(use: (admin: Admin) => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

/** What a cluster is started with. */
export interface KafkaOptions {
  nodes?: 1 | 3;
  /** Added to every node's server.properties. */
  properties?: Record<string, string>;
}

/** Whether tests can have a Kafka. With CI set it throws instead of saying no: nothing is skipped there. */
export function kafkaAvailable(): boolean {
  if (isQuick) return false;
  const available = process.env["KAFKA_BROKERS"] !== undefined || canRunKafka();
  if (!available && process.env["CI"] !== undefined) {
    throw new Error("Kafka tests need KAFKA_BROKERS, or java (17 or later) and mvn");
  }
  return available;
}

let topicsNamed = 0;

/** A topic name that no other test uses. */
export function uniqueTopic(prefix: string): string {
  topicsNamed += 1;
  return `${prefix}-${process.pid}-${Date.now().toString(36)}-${topicsNamed}`;
}

let shared: Promise<KafkaCluster> | undefined;

/** The test process's one-node cluster (or KAFKA_BROKERS), started on first use, ended with the process. */
export function sharedKafka(): Promise<KafkaCluster> {
  const external = process.env["KAFKA_BROKERS"];
  shared ??=
    external === undefined ? startKafka() : Promise.resolve(cluster(external.split(","), []));
  return shared;
}

/** Starts brokers on free ports of loopback, with data in a directory that is removed at the end. */
export async function startKafka({
  nodes = 1,
  properties = {},
}: KafkaOptions = {}): Promise<KafkaCluster> {
  await fetchJars();
  const dir = mkdtempSync(join(tmpdir(), "headgate-kafka-"));
  const ports: NodePorts[] = [];
  for (let index = 0; index < nodes; index += 1) {
    ports.push({ broker: await freePort(), controller: await freePort() });
  }
  const members = ports.map((own, index) => new KafkaNode(dir, index + 1, own));
  watchOver(dir);
  const stop = async (): Promise<void> => {
    for (const member of members) member.signal("SIGKILL");
    await Promise.all(members.map((member) => member.exited()));
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await Promise.all(members.map((member) => member.format(ports, properties)));
    await Promise.all(members.map((member) => member.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  const brokers = members.map(({ address }) => address);
  return cluster(brokers, members, stop);
}

function cluster(
  brokers: string[],
  members: readonly KafkaNode[],
  stop: () => Promise<void> = () => Promise.resolve(),
): KafkaCluster {
  const member = (node: number): KafkaNode => {
    const found = members[node - 1];
    if (found === undefined) throw new Error(`Node ${node} is not ours to touch`);
    return found;
  };
  const end = async (node: number, signal: "SIGKILL" | "SIGTERM"): Promise<void> => {
    member(node).signal(signal);
    await member(node).exited();
  };
  const withAdmin = async <T>(use: (admin: Admin) => Promise<T>): Promise<T> => {
    const config = { brokers, clientId: "test-admin", groupId: "test-admin" };
    const admin = createKafka(config, createLogger("silent")).admin();
    await admin.connect();
    try {
      return await use(admin);
    } finally {
      await admin.disconnect();
    }
  };
  return {
    brokers,
    external: members.length === 0,
    kill: (node) => end(node, "SIGKILL"),
    stop1: (node) => end(node, "SIGTERM"),
    pause: (node) => member(node).pause(),
    resume: (node) => member(node).signal("SIGCONT"),
    start: (node) => member(node).start(),
    dataDir: (node) => member(node).dataDir,
    createTopic: (topic, numPartitions, configs = {}) =>
      withAdmin(async (admin) => {
        const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
        const replicationFactor = Math.max(1, members.length);
        await admin.createTopics({
          topics: [{ topic, numPartitions, replicationFactor, configEntries }],
          waitForLeaders: true,
        });
      }),
    deleteTopic: (topic) => withAdmin((admin) => admin.deleteTopics({ topics: [topic] })),
    withAdmin,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
