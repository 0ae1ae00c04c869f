import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes } from "kafkajs";
import { ResourcePatternTypes } from "kafkajs";
import type { AclEntry } from "kafkajs";
import { kafkaAvailable, startKafka, uniqueTopic } from "../../test/support/kafka.ts";
import type { KafkaCluster } from "../../test/support/kafka.ts";
import { outcome, publisherFor, publishUntilDone } from "../../test/support/publishing.ts";
import { readAll, record, refusal, Traffic, until } from "../../test/support/publishing.ts";

setDefaultTimeout(120_000);

describe.skipIf(!kafkaAvailable() || process.env["KAFKA_BROKERS"] !== undefined)(
  "with a broker of its own",
  () => {
    let cluster: KafkaCluster;
    beforeAll(async () => {
      cluster = await startKafka();
    });
    afterAll(() => cluster.stop());

    test("D7 what was given up on while the broker stood still never appears unless it was on its way", async () => {
      const topic = uniqueTopic("paused");
      await cluster.createTopic(topic, 1);
      const { publisher } = publisherFor(cluster, { timeoutMs: 1_500 });
      await publisher.publish([record(topic, "before")]);
      cluster.pause(1);
      const onItsWay = refusal(publisher.publish([record(topic, "on its way")]));
      // A turn of the event loop later it has been taken, and what follows waits behind it.
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      const queued = Array.from({ length: 20 }, (_, n) =>
        refusal(publisher.publish([record(topic, `queued ${n}`)])),
      );
      expect(await onItsWay).toMatchObject({
        code: "publish-timeout",
        details: { mayBeStored: true },
      });
      for (const error of await Promise.all(queued)) {
        expect(error).toMatchObject({ code: "publish-timeout", details: { mayBeStored: false } });
      }
      cluster.resume(1);
      await until(() => publisher.isConnected(), "the publisher to come back");
      const { offset: after } = await publishUntilDone(publisher, record(topic, "after"));
      const values = [...(await readAll(cluster, topic)).values()];
      expect(values[0]).toBe("before");
      expect(values.at(-1)).toBe("after");
      expect(after).toBe(values.length - 1);
      expect(values.filter((value) => value.startsWith("queued"))).toEqual([]);
      await publisher.close();
    });

    test("D7 with the broker down publishes time out unstored, and go on when it is back", async () => {
      const topic = uniqueTopic("down");
      await cluster.createTopic(topic, 1);
      const { publisher } = publisherFor(cluster, { timeoutMs: 1_000 });
      await publisher.publish([record(topic, "before")]);
      await cluster.kill(1);
      for (let n = 0; n < 3; n += 1) {
        expect(await refusal(publisher.publish([record(topic, "never")]))).toMatchObject({
          code: "publish-timeout",
          details: { mayBeStored: false },
        });
      }
      expect(publisher.isConnected()).toBe(false);
      await cluster.start(1);
      // A broker that has just started may be slow: what it got and did not acknowledge in time may be there.
      const { offset, unclear } = await publishUntilDone(publisher, record(topic, "after"));
      expect(offset).toBeLessThanOrEqual(1 + unclear);
      const stored = Array<string>(offset).fill("after");
      expect([...(await readAll(cluster, topic)).values()]).toEqual(["before", ...stored]);
      await publisher.close();
    });

    test("every acknowledged record is in Kafka exactly once, at its coordinates, though the broker was killed twice", async () => {
      const topic = uniqueTopic("killed");
      await cluster.createTopic(topic, 3);
      const { publisher } = publisherFor(cluster, { partitions: 3, timeoutMs: 30_000 });
      const traffic = new Traffic(publisher, topic);
      for (let round = 1; round <= 2; round += 1) {
        await until(() => traffic.acknowledged.size > round * 500, "acknowledgements");
        await cluster.kill(1);
        await cluster.start(1);
      }
      await until(() => traffic.acknowledged.size > 2_000, "acknowledgements after the last start");
      await traffic.end();
      await publisher.close();
      traffic.compareWith(await readAll(cluster, topic));
    });
  },
);

describe.skipIf(!kafkaAvailable() || process.env["KAFKA_BROKERS"] !== undefined)(
  "with a broker that checks rights",
  () => {
    test("D7 a topic that we may not write to is refused, and its neighbours are not", async () => {
      await using cluster = await startKafka({
        properties: {
          "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
          "allow.everyone.if.no.acl.found": "true",
        },
      });
      await cluster.createTopic("closed", 1);
      await cluster.createTopic("open", 1);
      const acl = (operation: AclOperationTypes): AclEntry => ({
        resourceType: AclResourceTypes.TOPIC,
        resourceName: "closed",
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal: "User:ANONYMOUS",
        host: "*",
        permissionType: AclPermissionTypes.ALLOW,
        operation,
      });
      await cluster.withAdmin((admin) =>
        admin.createAcls({ acl: [acl(AclOperationTypes.DESCRIBE), acl(AclOperationTypes.READ)] }),
      );
      const { publisher } = publisherFor(cluster);
      const refused = refusal(publisher.publish([record("closed", "1")]));
      expect(await outcome(publisher.publish([record("open", "1")]))).toMatchObject([
        { offset: 0 },
      ]);
      expect(await refused).toMatchObject({ code: "forbidden", details: { mayBeStored: false } });
      await publisher.close();
    });
  },
);

test.skipIf(!kafkaAvailable() || process.env["KAFKA_BROKERS"] !== undefined)(
  "D7 of three brokers one is killed: what is acknowledged is there exactly once, and too few replicas are a timeout",
  async () => {
    await using cluster = await startKafka({ nodes: 3 });
    const [topic, wantsAll, doomed] = ["three", "wants-all", "doomed"];
    // Without waitForLeaders: kafkajs fails where it asks a broker that has not heard of a topic yet.
    const minInSync = (value: string) => [{ name: "min.insync.replicas", value }];
    await cluster.withAdmin((admin) =>
      admin.createTopics({
        waitForLeaders: false,
        topics: [
          { topic, numPartitions: 6, replicationFactor: 3, configEntries: minInSync("2") },
          { topic: wantsAll, replicationFactor: 3, configEntries: minInSync("3") },
          { topic: doomed, replicaAssignment: [{ partition: 0, replicas: [2] }] },
        ],
      }),
    );
    const { publisher } = publisherFor(cluster, { partitions: 6, timeoutMs: 30_000 });
    const traffic = new Traffic(publisher, topic);
    await until(() => traffic.acknowledged.size > 500, "acknowledgements");
    await cluster.kill(2);
    const before = traffic.acknowledged.size;
    await until(() => traffic.acknowledged.size > before + 500, "acknowledgements of two brokers");
    const { publisher: hasty } = publisherFor(cluster, { timeoutMs: 2_000 });
    expect(await refusal(hasty.publish([record(wantsAll, "1")]))).toMatchObject({
      code: "publish-timeout",
    });
    // kafkajs cannot connect an idempotent producer while anybody's partition has no leader.
    const { publisher: fresh } = publisherFor(cluster, { partitions: 6 });
    const lost = refusal(hasty.publish([record(doomed, "1")]));
    expect(await outcome(fresh.publish([record(topic, "fresh")]))).toBeArrayOfSize(1);
    expect(await lost).toMatchObject({ code: "publish-timeout", details: { mayBeStored: false } });
    await traffic.end();
    await Promise.all([publisher.close(), hasty.close(), fresh.close()]);
    const stored = await readAll(cluster, topic);
    traffic.compareWith(new Map([...stored].filter(([, value]) => value !== "fresh")));
  },
);
