import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KafkaConfig } from "../src/kafka/client.ts";
import { createKafka } from "../src/kafka/client.ts";
import { createLogger } from "../src/logger.ts";
import { startFeed, until } from "./support/feed.ts";
import type { RunningFeed } from "./support/feed.ts";
import { canRunKafka } from "./support/kafka-node.ts";
import { startKafka, uniqueTopic } from "./support/kafka.ts";
import type { KafkaCluster } from "./support/kafka.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { makeCertificate } from "./support/tls.ts";

setDefaultTimeout(60_000);

const PASSWORD = "a-password-that-never-shows";

describe.skipIf(!canRunKafka() || Bun.which("openssl") === null)(
  "a broker with SASL and TLS",
  () => {
    const directory = temporaryDirectory();
    const dir = directory.path;
    let kafka: KafkaCluster;

    beforeAll(async () => {
      await makeCertificate(dir, "broker", "IP:127.0.0.1");
      await makeCertificate(dir, "stranger", "IP:127.0.0.1");
      const login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
      const users = `username="admin" password="${PASSWORD}" user_admin="${PASSWORD}"`;
      kafka = await startKafka({
        properties: {
          "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_SSL",
          "sasl.enabled.mechanisms": "PLAIN",
          "sasl.mechanism.inter.broker.protocol": "PLAIN",
          "listener.name.plaintext.plain.sasl.jaas.config": `${login} ${users};`,
          "ssl.keystore.type": "PEM",
          "ssl.keystore.location": join(dir, "broker.pem"),
          "ssl.truststore.type": "PEM",
          "ssl.truststore.location": join(dir, "broker.crt"),
        },
      });
    });
    afterAll(async () => {
      await kafka.stop();
      directory[Symbol.dispose]();
    });

    const configured = (ca: string, password: string): KafkaConfig => ({
      brokers: kafka.brokers,
      clientId: "test",
      groupId: "test",
      ssl: { ca: readFileSync(join(dir, `${ca}.crt`), "utf8") },
      sasl: { mechanism: "plain", username: "admin", password },
    });

    /** Asks for a topic that nobody has made. */
    const feedWith = (config: KafkaConfig, topic: string): RunningFeed =>
      startFeed(kafka, {
        kafka: config,
        topics: [topic],
        createTopics: { partitions: 1, replicationFactor: 1 },
      });

    test("records come through with the right authority and password", async () => {
      const topic = uniqueTopic("secret");
      const config = configured("broker", PASSWORD);
      await using running = feedWith(config, topic);
      await until(() => running.feed.isReady());
      const producer = createKafka(config, createLogger("silent")).producer();
      await producer.connect();
      await producer.send({ topic, messages: [{ value: "in private" }] });
      await producer.disconnect();
      await until(() => running.values(topic).length === 1);
    });

    test("F14 a wrong password is said without the password, and tried again", async () => {
      await using running = feedWith(configured("broker", "wrong-password"), uniqueTopic("secret"));
      await until(
        () => running.feed.status().lastError?.includes("Authentication failed") === true,
      );
      expect(JSON.stringify(running.feed.status())).not.toContain("wrong-password");
      expect(running.feed.status().connected).toBe(false);
    });

    test("F15 a certificate of another authority is refused", async () => {
      await using running = feedWith(configured("stranger", PASSWORD), uniqueTopic("secret"));
      await until(() => running.feed.status().lastError?.includes("certificate") === true);
      expect(running.feed.status().connected).toBe(false);
    });
  },
);
