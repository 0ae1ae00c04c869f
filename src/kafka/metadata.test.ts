import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { kafkaAvailable, sharedKafka, uniqueTopic } from "../../test/support/kafka.ts";
import { tagOfUuid } from "../log/position.ts";
import { createLogger } from "../logger.ts";
import { Brokers } from "./brokers.ts";
import { KafkaMetadata } from "./metadata.ts";

setDefaultTimeout(60_000);

const SILENT = createLogger("silent");

describe.skipIf(!kafkaAvailable())("KafkaMetadata", () => {
  test("says where topics start and end, under their tags, and leaves out those that do not exist", async () => {
    const kafka = await sharedKafka();
    const config = { brokers: kafka.brokers, clientId: "test", groupId: "test" };
    const topic = uniqueTopic("ends");
    await kafka.createTopic(topic, 2);
    const source = new KafkaMetadata(config, SILENT);
    const asked = new Brokers(config, SILENT);
    const { clusterId, topics } = await asked.metadata([topic], 2_000);
    expect(await source.clusterId()).toBe(clusterId);
    expect(await source.ends([uniqueTopic("absent"), topic])).toEqual([
      { topic, tag: tagOfUuid(topics[0]?.id ?? new Uint8Array()), starts: [0, 0], ends: [0, 0] },
    ]);
    source.close();
    asked.close();
  });

  test("a thousand calls at once get each its own topics, as they are after the call", async () => {
    const kafka = await sharedKafka();
    const [one, other] = [uniqueTopic("one"), uniqueTopic("other")];
    await kafka.createTopic(one, 1);
    await kafka.createTopic(other, 1);
    const source = new KafkaMetadata(
      { brokers: kafka.brokers, clientId: "test", groupId: "test" },
      SILENT,
    );
    const names = Array.from({ length: 1_000 }, (_, index) => (index % 2 === 0 ? one : other));
    const early = source.ends([one]);
    await Promise.resolve();
    const answers = await Promise.all(names.map((name) => source.ends([name])));
    expect(answers.map(([answer]) => answer?.topic)).toEqual(names);
    expect(await early).toHaveLength(1);
    const asked = source.ends([one]);
    await kafka.withAdmin((admin) =>
      admin.createPartitions({ topicPartitions: [{ topic: one, count: 2 }] }),
    );
    await asked;
    expect((await source.ends([one]))[0]?.ends).toEqual([0, 0]);
    source.close();
  });
});
