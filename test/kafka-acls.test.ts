import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHeadgate, type Headgate } from "../src/headgate.ts";
import { createKafka, type KafkaConfig } from "../src/kafka/client.ts";
import { createLogger } from "../src/logger.ts";
import { until } from "./support/feed.ts";
import { canRunKafka } from "./support/kafka-node.ts";
import { addScramUser, giveRights, parseAclCommand } from "./support/kafka-rights.ts";
import { startKafka, uniqueTopic } from "./support/kafka.ts";
import type { KafkaCluster } from "./support/kafka.ts";
import { publish, type Settings, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { makeCertificate } from "./support/tls.ts";

setDefaultTimeout(60_000);

const GUIDE = readFileSync(join(import.meta.dir, "../README-KAFKA.md"), "utf8");
const PASSWORD = "a-password-that-never-shows";
/** Whoever signs in by PLAIN under one of these names has no rights until it is given some. */
const USERS = ["admin", "headgate", "maker", "reader", "writer", "stranger", "describer", "mixed"];

describe.skipIf(!canRunKafka() || Bun.which("openssl") === null)("a Kafka with rights", () => {
  const directory = temporaryDirectory();
  const file = (name: string): string => join(directory.path, name);
  let kafka: KafkaCluster;
  let admin: KafkaConfig;

  beforeAll(async () => {
    await makeCertificate(directory.path, "broker", "IP:127.0.0.1");
    await makeCertificate(directory.path, "headgate", "IP:127.0.0.1");
    // The broker tries its own certificate at the start, too.
    writeFileSync(
      file("trusted.crt"),
      ["broker.crt", "headgate.crt"].map((name) => readFileSync(file(name), "utf8")).join(""),
    );
    const plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    const users = USERS.map((name) => `user_${name}="${PASSWORD}"`).join(" ");
    kafka = await startKafka({
      properties: {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": `${plain} username="admin" password="${PASSWORD}" ${users};`,
        "listener.name.plaintext.scram-sha-256.sasl.jaas.config": scram,
        "listener.name.plaintext.scram-sha-512.sasl.jaas.config": scram,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": file("broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": file("trusted.crt"),
        "listener.name.plaintext.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        // The controller's own listener is without names.
        "super.users": "User:admin;User:ANONYMOUS",
      },
    });
    const [ca, cert, key] = ["broker.crt", "headgate.crt", "headgate.key"].map((name) =>
      readFileSync(file(name), "utf8"),
    );
    admin = {
      brokers: kafka.brokers,
      clientId: "test-admin",
      groupId: "test-admin",
      ssl: { ca: ca ?? "", cert: cert ?? "", key: key ?? "" },
      sasl: { mechanism: "plain", username: "admin", password: PASSWORD },
    };
  });
  afterAll(async () => {
    await kafka.stop();
    directory[Symbol.dispose]();
  });

  const settings = (user: string, topics: string, more: Settings = {}): Settings => ({
    KAFKA_BROKERS: kafka.brokers.join(","),
    KAFKA_TOPICS: topics,
    KAFKA_SSL_CA: file("broker.crt"),
    KAFKA_SSL_CERT: file("headgate.crt"),
    KAFKA_SSL_KEY: file("headgate.key"),
    KAFKA_SASL_MECHANISM: "PLAIN",
    KAFKA_SASL_USERNAME: user,
    KAFKA_SASL_PASSWORD: PASSWORD,
    ...more,
  });

  const allow = (user: string, operations: readonly string[], topic: string): Promise<void> => {
    const named = operations.map((operation) => `--operation ${operation}`).join(" ");
    const command = `kafka-acls.sh --add --allow-principal User:${user} ${named} --topic ${topic}`;
    return giveRights(admin, parseAclCommand(command));
  };

  /** A topic of one record. */
  const makeTopic = async (prefix: string, topic = uniqueTopic(prefix)): Promise<string> => {
    const client = createKafka(admin, createLogger("silent"));
    const [administrator, producer] = [client.admin(), client.producer()];
    await administrator.connect();
    await administrator.createTopics({ topics: [{ topic, numPartitions: 1 }] });
    await administrator.disconnect();
    await producer.connect();
    await producer.send({ topic, messages: [{ value: "1" }] });
    await producer.disconnect();
    return topic;
  };

  test("the commands of README-KAFKA.md suffice, to make topics too, and no group is joined", async () => {
    const commands = [...GUIDE.matchAll(/^kafka-acls\.sh (?:.*\\\n)*.*$/gm)];
    expect(commands.length).toBeGreaterThanOrEqual(2);
    await giveRights(
      admin,
      commands.flatMap(([command]) => parseAclCommand(command)),
    );
    const topics = [
      ...new Set(
        commands.flatMap(([command]) =>
          [...command.matchAll(/--topic (\S+)/g)].map(([, topic = ""]) => topic),
        ),
      ),
    ];
    expect(topics).toEqual(["orders", "payments"]);
    await makeTopic("orders", "orders");
    await using server = await startLocalServer(settings("headgate", topics.join(",")));
    const answer = await publish(
      server.url,
      topics.map((topic) => ({ topic, data: { topic } })),
      { "Idempotency-Key": "once" },
    );
    expect(await answer.json()).toMatchObject({ published: 2 });
    await until(async () => (await recentOf(server.url)).length === 3);
    const client = createKafka(admin, createLogger("silent")).admin();
    await client.connect();
    expect((await client.listGroups()).groups).toEqual([]);
    await client.disconnect();
  });

  test.each(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])(
    "%s signs in, within TLS and with a certificate of its own",
    async (mechanism) => {
      const user = "scrammed";
      const topic = uniqueTopic("scram");
      await addScramUser(admin, user, PASSWORD);
      const name = mechanism === "PLAIN" ? "maker" : user;
      await allow(name, ["Read", "Write", "Create"], topic);
      const signIn = { KAFKA_SASL_MECHANISM: mechanism };
      await using server = await startLocalServer(settings(name, topic, signIn));
      expect((await publish(server.url, { data: mechanism })).status).toBe(200);
      await until(async () => (await recentOf(server.url)).length === 1);
    },
  );

  test("without any right /readyz names the topic and Kafka's code", async () => {
    const topic = await makeTopic("closed");
    await using server = await startUnready(settings("stranger", topic));
    await server.missing(`Topic "${topic}" cannot be read, Kafka's code is 29`);
  });

  test("with Describe alone nothing is read, and /kafka/status says why", async () => {
    const topic = await makeTopic("described");
    await allow("describer", ["Describe"], topic);
    await using server = await startUnready(settings("describer", topic));
    await server.missing(`${topic}/0 is read up to 0 of 1`);
    await server.status(`Kafka does not give ${topic}/0, code 29`);
  });

  test("with Write alone events are published, and none are read", async () => {
    const topic = await makeTopic("written");
    await allow("writer", ["Write"], topic);
    await using server = await startUnready(settings("writer", topic));
    await server.status(`Kafka does not give ${topic}/0, code 29`);
    expect((await publish(server.headgate.url, { data: 1 })).status).toBe(200);
  });

  test("D7 with Read alone events are read, and publishing is 403 until there is a right to write", async () => {
    const topic = await makeTopic("read");
    await allow("reader", ["Read"], topic);
    await using server = await startLocalServer(settings("reader", topic));
    expect(await recentOf(server.url)).toHaveLength(1);
    const answer = await publish(server.url, { data: 1 });
    expect(answer.status).toBe(403);
    expect(JSON.stringify(await answer.json())).toContain("Kafka lets nobody write");
    await allow("reader", ["Write"], topic);
    await until(async () => (await publish(server.url, { data: 2 })).status === 200);
  });

  test("without Write on one of its topics, publishing to that one is 403", async () => {
    const [own, other] = [await makeTopic("own"), await makeTopic("other")];
    await allow("mixed", ["Read", "Write"], own);
    await allow("mixed", ["Read"], other);
    await using server = await startLocalServer(settings("mixed", `${own},${other}`));
    expect((await publish(server.url, { topic: own, data: 1 })).status).toBe(200);
    const answer = await publish(server.url, { topic: other, data: 1 });
    expect(answer.status).toBe(403);
    expect(JSON.stringify(await answer.json())).toContain("Kafka lets nobody write");
  });

  test("without Create a missing topic is not made, and /readyz says so", async () => {
    const topic = uniqueTopic("unmade");
    await allow("reader", ["Read", "Write"], topic);
    await using server = await startUnready(settings("reader", topic));
    await server.missing(`Topic "${topic}" cannot be made: Authorization failed. (code 29)`);
  });
});

/** What the local log holds, newest first. */
async function recentOf(url: string): Promise<unknown[]> {
  const body = (await (await fetch(`${url}/events/recent`)).json()) as { events: unknown[] };
  return body.events;
}

interface UnreadyServer extends AsyncDisposable {
  readonly headgate: Headgate;
  /** Resolves when `/readyz` is 503 and says this. */
  missing(what: string): Promise<void>;
  /** Resolves when `/kafka/status` says this. */
  status(what: string): Promise<void>;
}

/** A server that is not waited for: what it lacks is what is tested. */
async function startUnready(environment: Settings): Promise<UnreadyServer> {
  const headgate = createHeadgate({
    environment: { PORT: "0", DATA_DIR: ":memory:", LOG_LEVEL: "silent", ...environment },
  });
  await headgate.start();
  // It is stopped before.
  headgate.ready.catch(() => undefined);
  const says = async (path: string, what: string, wanted: number): Promise<void> => {
    let text = "";
    await until(
      async () => {
        const answer = await fetch(headgate.url + path);
        text = await answer.text();
        return answer.status === wanted && text.includes(JSON.stringify(what).slice(1, -1));
      },
      { describe: () => text },
    );
  };
  return {
    headgate,
    missing: (what) => says("/readyz", what, 503),
    status: (what) => says("/kafka/status", what, 200),
    [Symbol.asyncDispose]: () => headgate.stop(),
  };
}
