import { pbkdf2Sync, randomBytes } from "node:crypto";
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes } from "kafkajs";
import { type AclEntry, ResourcePatternTypes } from "kafkajs";
import { Brokers } from "../../src/kafka/brokers.ts";
import type { KafkaConfig } from "../../src/kafka/client.ts";
import { createKafka } from "../../src/kafka/client.ts";
import type { KafkaRequest } from "../../src/kafka/requests.ts";
import { createLogger } from "../../src/logger.ts";

/** The rights that `kafka-acls.sh --add --allow-principal … --operation … --topic …` gives. */
export function parseAclCommand(command: string): AclEntry[] {
  const words = command.replaceAll("\\\n", " ").trim().split(/\s+/);
  if (words.shift() !== "kafka-acls.sh") throw new Error(`Not kafka-acls.sh: ${command}`);
  const named = (option: string): string[] =>
    words.flatMap((word, i) => (word === option ? [words[i + 1] ?? ""] : []));
  const resources = [
    ...named("--topic").map((name) => ({ type: AclResourceTypes.TOPIC, name })),
    ...(words.includes("--cluster")
      ? [{ type: AclResourceTypes.CLUSTER, name: "kafka-cluster" }]
      : []),
  ];
  const isPrefixed = named("--resource-pattern-type").includes("prefixed");
  return named("--allow-principal").flatMap((principal) =>
    resources.flatMap(({ type, name }) =>
      named("--operation").map((operation) => ({
        principal,
        host: "*",
        operation: operationOf(operation),
        permissionType: AclPermissionTypes.ALLOW,
        resourceType: type,
        resourceName: name,
        resourcePatternType: isPrefixed
          ? ResourcePatternTypes.PREFIXED
          : ResourcePatternTypes.LITERAL,
      })),
    ),
  );
}

/** Gives rights, as an administrator. */
export async function giveRights(admin: KafkaConfig, acl: readonly AclEntry[]): Promise<void> {
  const client = createKafka(admin, createLogger("silent")).admin();
  await client.connect();
  try {
    await client.createAcls({ acl: [...acl] });
  } finally {
    await client.disconnect();
  }
}

const OPERATIONS: Readonly<Record<string, AclOperationTypes>> = {
  Read: AclOperationTypes.READ,
  Write: AclOperationTypes.WRITE,
  Create: AclOperationTypes.CREATE,
  Describe: AclOperationTypes.DESCRIBE,
};

function operationOf(name: string): AclOperationTypes {
  const operation = OPERATIONS[name];
  if (operation === undefined) throw new Error(`An operation that no guide needs: ${name}`);
  return operation;
}

/** What `kafka-configs.sh --alter --add-config 'SCRAM-SHA-…=[password=…]'` does, for both mechanisms. */
export async function addScramUser(
  admin: KafkaConfig,
  name: string,
  password: string,
): Promise<void> {
  const brokers = new Brokers(admin, createLogger("silent"));
  try {
    const { controllerId } = await brokers.metadata([], 10_000);
    // One at a time: a user cannot be altered twice in a request.
    for (const mechanism of [SCRAM_SHA_256, SCRAM_SHA_512]) {
      const request = alterScramUser(name, password, mechanism);
      const error = await brokers.send(controllerId, request, "control", 10_000);
      if (error !== 0) throw new Error(`Kafka made no SCRAM user, code ${error}`);
    }
  } finally {
    brokers.close();
  }
}

/** KIP-554. */
const SCRAM_SHA_256 = { code: 1, digest: "sha256", bytes: 32 };
const SCRAM_SHA_512 = { code: 2, digest: "sha512", bytes: 64 };
const ITERATIONS = 4096;

/** AlterUserScramCredentials v0; answers with the first error. */
function alterScramUser(
  name: string,
  password: string,
  { code, digest, bytes }: typeof SCRAM_SHA_256,
): KafkaRequest<number> {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, bytes, digest);
  return {
    apiKey: 51,
    apiVersion: 0,
    apiName: "AlterUserScramCredentials",
    encode: (to) => {
      to.noTags().compactArray([], () => undefined);
      to.compactArray([name], () => {
        to.compactString(name).int8(code).int32(ITERATIONS);
        for (const value of [salt, salted]) to.unsignedVarint(value.byteLength + 1).bytes(value);
        to.noTags();
      }).noTags();
    },
    decode: (from) => {
      from.skipTags();
      from.int32();
      const [error = 0] = from.compactArray(() => {
        from.compactString();
        const found = from.int16();
        from.compactString();
        from.skipTags();
        return found;
      });
      return error;
    },
  };
}
