import { describe, expect, test } from "bun:test";
import { type Config, parseConfig } from "./config.ts";
import { VARIABLES } from "./config-schema.ts";
import { type HeadgateOptions, OPTION_VARIABLES, toEnvironment } from "./options.ts";

type OptionName = keyof typeof OPTION_VARIABLES;

interface Sample {
  readonly value: HeadgateOptions[OptionName];
  /** The same, as the environment has it. */
  readonly text: string;
  /** What else must be set for it to count. */
  readonly with?: HeadgateOptions;
}

const CERT = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const KEY = CERT.replaceAll("CERTIFICATE", "PRIVATE KEY");
const PUBLIC_KEY = CERT.replaceAll("CERTIFICATE", "PUBLIC KEY");
const SECRET = "a secret of the tests that is long enough, with a comma";

const plain = (value: string | number | boolean): Sample => ({ value, text: String(value) });
const kafka = (value: string | number | boolean): Sample => ({
  ...plain(value),
  with: { kafkaBrokers: ["kafka-1:9092"] },
});
const sasl = { kafkaSaslMechanism: "plain", kafkaSaslUsername: "u", kafkaSaslPassword: "p" };

/** A value of each option that is not its default. */
const SAMPLES: Readonly<Record<OptionName, Sample>> = {
  port: plain(4000),
  host: plain("0.0.0.0"),
  enabled: plain(false),
  allowedHosts: { value: ["a.example", "B.example"], text: "a.example,B.example" },
  trustedProxies: { value: ["10.0.0.0/8", "2001:db8::/32"], text: "10.0.0.0/8, 2001:db8::/32" },
  tlsCert: { value: CERT, text: CERT, with: { tlsKey: KEY } },
  tlsKey: { value: KEY, text: KEY, with: { tlsCert: CERT } },
  workers: plain(3),
  shutdownGraceMs: plain(0),
  logLevel: plain("debug"),
  enableLogging: plain(false),
  topics: { value: ["a", "b"], text: "a,b" },
  defaultTopic: { ...plain("b"), with: { topics: ["a", "b"] } },
  kafkaBrokers: { value: ["kafka-1:9092", "kafka-2:9092"], text: "kafka-1:9092,kafka-2:9092" },
  kafkaClientId: kafka("me"),
  kafkaGroupId: kafka("us"),
  kafkaCreateTopics: kafka(false),
  kafkaPartitions: kafka(7),
  kafkaReplicationFactor: kafka(2),
  kafkaSsl: kafka(true),
  kafkaSslCa: kafka(CERT),
  kafkaSslCert: {
    ...kafka(CERT),
    with: { kafkaBrokers: ["kafka-1:9092"], kafkaSslKey: KEY },
  },
  kafkaSslKey: {
    ...kafka(KEY),
    with: { kafkaBrokers: ["kafka-1:9092"], kafkaSslCert: CERT },
  },
  kafkaSaslMechanism: {
    ...kafka("scram-sha-512"),
    with: { ...sasl, kafkaBrokers: ["kafka-1:9092"] },
  },
  kafkaSaslUsername: { ...kafka("me"), with: { ...sasl, kafkaBrokers: ["kafka-1:9092"] } },
  kafkaSaslPassword: { ...kafka(" a,b "), with: { ...sasl, kafkaBrokers: ["kafka-1:9092"] } },
  publishTimeoutMs: plain(1234),
  dataDir: plain(":memory:"),
  dataRetention: plain("15m"),
  dataMaxBytes: plain(2_000_000),
  compression: plain(false),
  heartbeatMs: plain(1234),
  retryMs: plain(1234),
  flushMs: plain(5),
  maxStallMs: plain(1234),
  maxConnectionAgeMs: plain(1234),
  maxConnections: plain(12),
  maxConnectionsPerIp: plain(12),
  maxConnectionsPerUser: plain(12),
  cleanupMs: plain(1234),
  corsOrigin: {
    value: ["https://a.example", "https://b.example"],
    text: "https://a.example,https://b.example",
  },
  maxBodyBytes: plain(12_345),
  maxEventBytes: plain("12KiB"),
  publishRate: plain(0.5),
  auth: { ...plain("jwt"), with: { jwtSecret: SECRET } },
  jwtSecret: { ...plain(SECRET), with: { auth: "jwt" } },
  jwtPublicKey: { ...plain(PUBLIC_KEY), with: { auth: "jwt", jwtAudience: "us" } },
  jwtJwksUrl: {
    ...plain("https://id.example/keys"),
    with: { auth: "jwt", jwtAudience: "us" },
  },
  jwtIssuer: { ...plain("them"), with: { auth: "jwt", jwtSecret: SECRET } },
  jwtAudience: { ...plain("us"), with: { auth: "jwt", jwtSecret: SECRET } },
  jwtDefaultClaims: {
    value: { subscribe: ["public.*"], channels: ["a,b"] },
    text: '{"subscribe":["public.*"],"channels":["a,b"]}',
    with: { auth: "jwt", jwtSecret: SECRET },
  },
  allowQueryToken: plain(true),
  allowAnonymousPublish: plain(true),
  allowAnonymousUsers: plain(true),
  console: plain(false),
  updateIntervalMs: plain(1000),
  dashboardTopic: plain("sections"),
  sanitizeData: plain(false),
  aggregateFields: { value: ["payload.times", "a.b"], text: "payload.times,a.b" },
};

const NAMES = Object.keys(OPTION_VARIABLES).filter((name): name is OptionName => name in SAMPLES);

const configOf = (options: HeadgateOptions): Config => parseConfig(toEnvironment(options));

describe("the library's options", () => {
  test("are all variables there are, each once", () => {
    const options = new Set<string>(Object.values(OPTION_VARIABLES));
    const missing = Object.keys(VARIABLES).filter((name) => !options.has(name));
    expect(missing).toEqual([]);
    expect(options.size).toBe(Object.keys(OPTION_VARIABLES).length);
    expect(NAMES).toEqual(Object.keys(OPTION_VARIABLES) as OptionName[]);
  });

  test.each(NAMES)("%s changes what its variable changes", (name) => {
    const { value, text, with: others = {} } = SAMPLES[name];
    const variable = OPTION_VARIABLES[name];
    const byOption = configOf({ ...others, [name]: value });
    const environment = { ...toEnvironment(others), [variable]: text };
    expect(byOption).toEqual(parseConfig(environment));
    expect(
      configOf({
        environment: { ...others.environment, [variable]: text },
        ...others,
        [name]: value,
      }),
    ).toEqual(byOption);
    // An option that changes nothing would be equal to anything.
    expect(JSON.stringify(byOption)).not.toBe(JSON.stringify(withoutIt(name, others)));
  });

  /** What the others make of it alone; undefined where they cannot stand alone. */
  function withoutIt(name: OptionName, others: HeadgateOptions): Config | undefined {
    const { [name]: _, ...rest } = others;
    try {
      return configOf(rest);
    } catch {
      return undefined;
    }
  }

  test("that are left out, undefined or null are the defaults", () => {
    const defaults = parseConfig({});
    expect(configOf({})).toEqual(defaults);
    for (const name of NAMES) {
      expect(configOf({ [name]: undefined })).toEqual(defaults);
      expect(configOf({ [name]: null })).toEqual(defaults);
    }
  });

  test("win over the environment that they are given with; nothing else of an environment is read", () => {
    const environment = { PORT: "1", KAFKA_TOPICS: "a", SSE_RETRY_MS: undefined };
    const { server, topics, streams } = configOf({ environment, port: 2 });
    expect([server.port, topics, streams.retryMs]).toEqual([2, ["a"], 3000]);
    expect(environment).toEqual({ PORT: "1", KAFKA_TOPICS: "a", SSE_RETRY_MS: undefined });
  });

  test("are judged as variables are, all faults at once", () => {
    const wrong = { port: 70_000, heartbeatMs: 1.5, dataMaxBytes: "1 GB", corsOrigin: "a.example" };
    const attempt = (): Config => configOf(wrong);
    for (const word of [
      'PORT is "70000"',
      'SSE_HEARTBEAT_INTERVAL is "1.5"',
      'DATA_MAX_BYTES is "1 GB"',
      'SSE_CORS_ORIGIN is "a.example"',
    ]) {
      expect(attempt).toThrow(word);
    }
    for (const port of [Number.NaN, Infinity, -1, 1e21]) {
      expect(() => configOf({ port })).toThrow("PORT is");
    }
  });

  test("do not clash with what an environment calls otherwise: that is refused, as two aliases are", () => {
    expect(() => configOf({ environment: { SSE_PORT: "1" }, port: 2 })).toThrow(
      "they are names of one setting",
    );
    expect(configOf({ environment: { SSE_PORT: "2" }, port: 2 }).server.port).toBe(2);
  });

  test("that have the name of something else in every object are no options", () => {
    for (const name of ["constructor", "toString", "__defineGetter__"]) {
      expect(() => configOf({ [name]: "x" })).toThrow(`SSE_${name}`);
    }
  });
});

test.each([["topics"], ["kafkaBrokers"]])("an empty list of %s is refused", (option) => {
  expect(() => parseConfig(toEnvironment({ [option]: [] }))).toThrow("expected no empty item");
});

test("an empty list of what may be none is none", () => {
  const config = parseConfig(toEnvironment({ allowedHosts: [], trustedProxies: [] }));
  expect(config.server).toMatchObject({ allowedHosts: [], trustedProxies: [] });
});
