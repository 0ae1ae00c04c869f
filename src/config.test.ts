import { describe, expect, test } from "bun:test";
import { configurationMarkdown, helpText, parseConfig } from "./config.ts";
import { HeadgateError } from "./errors.ts";

/** The message of the refusal; fails where there is none. */
function refusal(
  environment: Record<string, string | undefined>,
  readFile?: (path: string) => string,
): string {
  try {
    parseConfig(environment, readFile);
  } catch (error) {
    if (error instanceof HeadgateError && error.code === "configuration") return error.message;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(environment)}`);
}

const PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

describe("configuration", () => {
  test("an empty environment is the embedded log on loopback with the documented defaults", () => {
    expect(parseConfig({})).toEqual({
      server: {
        isEnabled: true,
        port: 3000,
        host: "127.0.0.1",
        allowedHosts: [],
        trustedProxies: [],
        corsOrigins: [],
        tls: undefined,
        shutdownGraceMs: 10_000,
        logLevel: "info",
        workers: 1,
        hasConsole: true,
      },
      kafka: undefined,
      topics: ["events"],
      heldTopics: ["events"],
      log: { dataDir: "./data", retentionMs: 86_400_000, maxBytes: 2 ** 30 },
      streams: {
        defaultTopic: "events",
        isCompressed: true,
        heartbeatMs: 15_000,
        retryMs: 3_000,
        flushMs: 0,
        maxStallMs: 10_000,
        maxConnectionAgeMs: 0,
        maxConnections: 100_000,
        maxConnectionsPerAddress: 0,
        maxConnectionsPerUser: 0,
        cleanupMs: 5_000,
      },
      publishing: { timeoutMs: 10_000, maxBodyBytes: 2 ** 20, maxEventBytes: 2 ** 18, rate: 0 },
      who: {
        allowAnonymousPublish: false,
        allowAnonymousUsers: false,
        allowQueryToken: false,
        jwt: undefined,
      },
      watching: {
        updateIntervalMs: 5000,
        dashboardTopic: undefined,
        isSanitized: true,
        fields: [],
      },
    });
  });

  test("an empty value, or one of spaces, is the same as none", () => {
    expect(parseConfig({ PORT: "", KAFKA_BROKERS: " ", KAFKA_SASL_PASSWORD: "" })).toEqual(
      parseConfig({}),
    );
  });

  test("Kafka's settings arrive as the client takes them", () => {
    const { kafka, topics, streams } = parseConfig({
      KAFKA_BOOTSTRAP_SERVERS: "kafka-1:9092, kafka-2:9093",
      KAFKA_TOPICS: "orders, payments",
      SSE_DEFAULT_TOPIC: "payments",
      KAFKA_SASL_MECHANISM: "SCRAM-SHA-512",
      KAFKA_SASL_USERNAME: "headgate",
      KAFKA_SASL_PASSWORD: " with spaces ",
      KAFKA_SSL: "true",
    });
    expect(kafka).toEqual({
      brokers: ["kafka-1:9092", "kafka-2:9093"],
      clientId: "headgate",
      groupId: "headgate",
      ssl: true,
      sasl: { mechanism: "scram-sha-512", username: "headgate", password: " with spaces " },
      createTopics: true,
      partitions: 3,
      replicationFactor: -1,
    });
    expect(topics).toEqual(["orders", "payments"]);
    expect(streams.defaultTopic).toBe("payments");
  });

  test.each([
    ["1048576", 1_048_576],
    ["1MiB", 1_048_576],
    ["1 GiB", 2 ** 30],
    ["2048KiB", 2 ** 21],
  ])("bytes may be written %s", (text, expected) => {
    expect(parseConfig({ DATA_MAX_BYTES: text }).log.maxBytes).toBe(expected);
  });

  test.each([
    ["30s", 30_000],
    ["15m", 900_000],
    ["24h", 86_400_000],
    ["7d", 604_800_000],
  ])("retention may be written %s", (text, expected) => {
    expect(parseConfig({ DATA_RETENTION: text }).log.retentionMs).toBe(expected);
  });

  test("SSE_ENABLE_LOGGING=false is LOG_LEVEL=silent", () => {
    const { server } = parseConfig({ SSE_ENABLE_LOGGING: "false", LOG_LEVEL: "debug" });
    expect(server.logLevel).toBe("silent");
  });

  test.each([
    ["PORT", "abc"],
    ["PORT", "65536"],
    ["PORT", "1e3"],
    ["PORT", "0x10"],
    ["SHUTDOWN_GRACE", "10s"],
    ["SHUTDOWN_GRACE", "-1"],
    ["SSE_HEARTBEAT_INTERVAL", "0"],
    ["SSE_HEARTBEAT_INTERVAL", "2147483648"],
    ["SSE_MAX_CONNECTIONS", "0"],
    ["DATA_RETENTION", "24"],
    ["DATA_RETENTION", "0h"],
    ["DATA_RETENTION", "1w"],
    ["DATA_MAX_BYTES", "1GB"],
    ["DATA_MAX_BYTES", "1.5GiB"],
    ["SSE_MAX_EVENT_BYTES", "0"],
    ["LOG_LEVEL", "loud"],
    ["ENABLE_SSE_SERVER", "maybe"],
    ["KAFKA_BROKERS", "kafka"],
    ["KAFKA_BROKERS", "kafka:0"],
    ["KAFKA_BROKERS", "kafka:9092,"],
    ["KAFKA_BROKERS", "kafka://kafka:9092"],
    ["KAFKA_BROKERS", "::1:9092"],
    ["KAFKA_TOPICS", "a b"],
    ["KAFKA_TOPICS", ".."],
    ["KAFKA_TOPICS", "a,,b"],
    ["KAFKA_TOPICS", "a,b,a"],
    ["KAFKA_TOPICS", "__consumer_offsets"],
    ["KAFKA_TOPICS", "x".repeat(250)],
    ["KAFKA_PARTITIONS", "0"],
    ["KAFKA_SASL_MECHANISM", "GSSAPI"],
    ["ALLOWED_HOSTS", "https://example.com"],
  ])("G10 the malformed %s=%s is refused by name and value", (name, value) => {
    const message = refusal({ [name]: value });
    expect(message).toContain(`${name} is ${JSON.stringify(value).slice(0, 90)}`);
  });

  test("G10 all faults are listed at once", () => {
    const message = refusal({
      PORT: "abc",
      LOG_LEVEL: "loud",
      SSE_HEARTBEAT: "5",
      KAFKA_BROKRES: "kafka:9092",
      DATA_RETENTOIN: "1h",
    });
    expect(message.split("\n- ").slice(1).toSorted()).toEqual([
      'DATA_RETENTOIN is "1h": there is no such variable; the closest is DATA_RETENTION',
      'LOG_LEVEL is "loud": expected one of trace, debug, info, warn, error, fatal, silent',
      'PORT is "abc": expected a whole number from 0 to 65535',
      expect.stringMatching(
        /^SSE_HEARTBEAT is "5": there is no such variable; the closest is SSE_/,
      ),
    ]);
  });

  test.each(["SSE_X", "JWT_KEYS", "AGGREGATE_ALL", "SSE_PORT_FILE"])(
    "G10 the unknown %s is refused, because the prefix is ours",
    (name) => {
      expect(refusal({ [name]: "1" })).toContain(`${name} `);
    },
  );

  test.each([
    ["SHUTDOWN_GRAC", "SHUTDOWN_GRACE"],
    ["LOGLEVEL", "LOG_LEVEL"],
    ["KAFKA_TOPIC", "KAFKA_TOPICS"],
    ["PUBLISH_TIMEOUTMS", "PUBLISH_TIMEOUT"],
  ])("G10 %s is refused as a mistyped %s", (name, known) => {
    expect(refusal({ [name]: "1" })).toContain(`the closest is ${known}`);
  });

  test.each(["PATH", "HOSTNAME", "PORTS", "WORKER", "KAFKA_TOPIXX", "KAFKA_HOME", "NODE_ENV"])(
    "the unknown %s is none of our business",
    (name) => {
      expect(parseConfig({ [name]: "1" })).toEqual(parseConfig({}));
    },
  );

  test("what Kubernetes injects for services is left alone, also where a service is called sse", () => {
    const injected = {
      SSE_SERVICE_HOST: "10.0.0.1",
      SSE_SERVICE_PORT: "80",
      SSE_SERVICE_PORT_HTTP: "80",
      SSE_PORT: "tcp://10.0.0.1:80",
      SSE_PORT_80_TCP: "tcp://10.0.0.1:80",
      SSE_PORT_80_TCP_ADDR: "10.0.0.1",
      SSE_GATEWAY_PORT: "tcp://10.0.0.2:80",
      KAFKA_PORT: "tcp://10.0.0.3:9092",
    };
    expect(parseConfig(injected)).toEqual(parseConfig({}));
  });

  test("G10 aliases that disagree are refused, those that agree are not", () => {
    expect(refusal({ PORT: "1", SSE_PORT: "2" })).toContain('PORT is "1" and SSE_PORT is "2"');
    expect(parseConfig({ PORT: "4", SSE_PORT: "4" }).server.port).toBe(4);
    const brokers = { KAFKA_BROKERS: "a:1,b:2", KAFKA_BOOTSTRAP_SERVERS: "a:1, b:2" };
    expect(parseConfig(brokers).kafka?.brokers).toEqual(["a:1", "b:2"]);
  });

  test("a value in a message is cut at 100 characters", () => {
    expect(refusal({ LOG_LEVEL: "x".repeat(5_000) }).length).toBeLessThan(300);
  });
});

describe("secrets", () => {
  const SASL = { KAFKA_BROKERS: "a:1", KAFKA_SASL_MECHANISM: "plain", KAFKA_SASL_USERNAME: "me" };

  test("a secret comes from the file that <NAME>_FILE names, read once, without its last line end", () => {
    const read: string[] = [];
    const config = parseConfig({ ...SASL, KAFKA_SASL_PASSWORD_FILE: "/run/secrets/p" }, (path) => {
      read.push(path);
      return "hunter2 \n";
    });
    expect(config.kafka?.sasl?.password).toBe("hunter2 ");
    expect(read).toEqual(["/run/secrets/p"]);
  });

  test("G10 a secret and its file together are refused", () => {
    const both = { ...SASL, KAFKA_SASL_PASSWORD: "s3cret", KAFKA_SASL_PASSWORD_FILE: "/p" };
    const message = refusal(both, () => "s3cret");
    expect(message).toContain("KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE");
    expect(message).not.toContain("s3cret");
  });

  test("G10 a file that cannot be read, or is empty, is refused by name", () => {
    const missing = { ...SASL, KAFKA_SASL_PASSWORD_FILE: "/nowhere/at/all" };
    expect(refusal(missing)).toContain('KAFKA_SASL_PASSWORD_FILE is "/nowhere/at/all"');
    expect(refusal(missing)).toContain("ENOENT");
    expect(refusal(missing, () => "\n")).toContain("the file is empty");
  });

  test("the value of a secret is in no message, mistyped or in the wrong place", () => {
    const message = refusal({
      TLS_KEY: "s3cret",
      JWT_SECRET: "-----BEGIN s3cret",
      JWT_SECRETS: "s3cret",
      KAFKA_SASL_PASSWORDS: "s3cret",
    });
    expect(message).not.toContain("s3cret");
    for (const name of ["TLS_KEY", "JWT_SECRET", "JWT_SECRETS", "KAFKA_SASL_PASSWORDS"]) {
      expect(message).toContain(`\n- ${name} (value not shown)`);
    }
  });

  test("a certificate may be its text or a path", () => {
    const readFile = (path: string): string => (path === "/tls/key.pem" ? PEM : "");
    const config = parseConfig({ TLS_CERT: PEM, TLS_KEY: "/tls/key.pem" }, readFile);
    expect(config.server.tls).toEqual({ cert: PEM.trim(), key: PEM });
  });
});

describe("settings that belong together", () => {
  test.each([
    [{ TLS_CERT: PEM }, "TLS_KEY must be set"],
    [{ KAFKA_SSL_KEY: PEM }, "KAFKA_SSL_CERT must be set"],
    [{ KAFKA_SASL_USERNAME: "me" }, "KAFKA_SASL_MECHANISM and KAFKA_SASL_PASSWORD must be set"],
    [{ KAFKA_SSL: "false", KAFKA_SSL_CA: PEM }, 'KAFKA_SSL is "false"'],
    [{ KAFKA_TOPICS: "a,b", SSE_DEFAULT_TOPIC: "c" }, 'SSE_DEFAULT_TOPIC is "c"'],
  ])("G10 %o is refused", (environment, expected) => {
    expect(refusal(environment)).toContain(expected);
  });

  test("G10 they are checked beside other faults, but not where they are faulty themselves", () => {
    const message = refusal({
      PORT: "abc",
      TLS_CERT: PEM,
      KAFKA_TOPICS: "..",
      SSE_DEFAULT_TOPIC: "events",
      KAFKA_SASL_MECHANISM: "GSSAPI",
      KAFKA_SASL_USERNAME: "me",
      KAFKA_SASL_PASSWORD: "s3cret",
    });
    const named = message.split("\n- ").slice(1);
    expect(named.map((fault) => fault.split(" ", 1).join("")).toSorted()).toEqual([
      "KAFKA_SASL_MECHANISM",
      "KAFKA_TOPICS",
      "PORT",
      "TLS_KEY",
    ]);
  });

  test("an authority alone switches TLS on", () => {
    expect(parseConfig({ KAFKA_BROKERS: "a:1", KAFKA_SSL_CA: PEM }).kafka?.ssl).toEqual({
      ca: PEM.trim(),
    });
  });
});

describe("who may do what", () => {
  const JWT = { AUTH: "jwt", JWT_PUBLIC_KEY: PEM, JWT_AUDIENCE: "me" };

  test("tokens are checked by what is set", () => {
    expect(parseConfig(JWT).who.jwt).toEqual({
      secret: undefined,
      publicKey: PEM.trim(),
      jwksUrl: undefined,
      issuer: undefined,
      audience: "me",
      defaultClaims: {},
    });
    const withSecret = parseConfig({
      AUTH: "JWT",
      JWT_SECRET: "s3cret",
      JWT_ISSUER: "https://issuer.example",
      JWT_DEFAULT_CLAIMS: '{"subscribe":["public.*"],"status":true}',
      SSE_ALLOW_QUERY_TOKEN: "true",
    }).who;
    expect(withSecret).toMatchObject({
      allowQueryToken: true,
      jwt: {
        secret: "s3cret",
        issuer: "https://issuer.example",
        defaultClaims: { subscribe: ["public.*"], status: true },
      },
    });
  });

  test.each([
    [{ AUTH: "basic" }, "expected one of none, jwt"],
    [{ AUTH: "jwt" }, "one of JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL must be set; none"],
    [{ ...JWT, JWT_SECRET: "s3cret" }, "JWT_SECRET and JWT_PUBLIC_KEY are set"],
    [{ ...JWT, JWT_AUDIENCE: "" }, "JWT_AUDIENCE must be set"],
    [{ AUTH: "jwt", JWT_SECRET: PEM }, "expected a secret, not a PEM"],
    [{ JWT_SECRET: "s3cret" }, "JWT_SECRET is set, but AUTH is none"],
    [{ AUTH: "jwt", JWT_AUDIENCE: "me", JWT_JWKS_URL: "file:///etc/keys" }, "expected an http"],
    [{ ...JWT, JWT_DEFAULT_CLAIMS: "{" }, "JWT_DEFAULT_CLAIMS is"],
    [{ ...JWT, JWT_DEFAULT_CLAIMS: '{"subscribes":[]}' }, "JWT_DEFAULT_CLAIMS is"],
    [{ SSE_CORS_ORIGIN: "https://app.example/" }, "expected origins as browsers send them"],
    [{ SSE_CORS_ORIGIN: "https://App.example" }, "expected origins as browsers send them"],
    [{ SSE_CORS_ORIGIN: "null" }, "expected origins as browsers send them"],
    [{ SSE_CORS_ORIGIN: "*,https://app.example" }, "expected * alone"],
    [{ TRUSTED_PROXIES: "10.0.0.1" }, "expected CIDR ranges"],
    [{ TRUSTED_PROXIES: "010.0.0.0/8" }, "expected CIDR ranges"],
    [{ TRUSTED_PROXIES: "10.0.0.0/33" }, "expected CIDR ranges"],
    [{ TRUSTED_PROXIES: "fd00::/129" }, "expected CIDR ranges"],
    [{ SSE_PUBLISH_RATE: "-1" }, "expected events a second"],
  ])("C2 C10 C11 C16 G10 %o is refused", (environment, expected) => {
    const message = refusal(environment);
    expect(message).toContain(expected);
    expect(message).not.toContain("s3cret");
  });

  test("C10 C11 origins are a list, or everybody without credentials", () => {
    const origins = (list: string): unknown => parseConfig({ SSE_CORS_ORIGIN: list }).server;
    expect(origins("https://a.example, http://localhost:8080")).toMatchObject({
      corsOrigins: ["https://a.example", "http://localhost:8080"],
    });
    expect(origins("*")).toMatchObject({ corsOrigins: "any" });
  });
});

describe("workers", () => {
  test.each([["0"], ["65"], ["1.5"], ["auto"]])("G10 WORKERS=%s is refused", (text) => {
    expect(refusal({ WORKERS: text })).toContain(`WORKERS is "${text}"`);
  });

  test("G10 more than one share a file, so the log in memory is refused", () => {
    const message = refusal({ WORKERS: "2", DATA_DIR: ":memory:" });
    expect(message).toContain("WORKERS is 2, and DATA_DIR is :memory:");
    expect(parseConfig({ WORKERS: "2" }).server.workers).toBe(2);
    expect(parseConfig({ WORKERS: "1", DATA_DIR: ":memory:" }).server.workers).toBe(1);
  });
});

test("docs/configuration.md is what the schema prints (bun run docs:configuration)", async () => {
  const file = Bun.file(new URL("../docs/configuration.md", import.meta.url).pathname);
  expect(await file.text()).toBe(configurationMarkdown());
});

test("the help names every variable of the documentation", () => {
  const documented = [...configurationMarkdown().matchAll(/^\| `([A-Z_]+)`/gm)].map(
    ([, name]) => name,
  );
  expect(documented.length).toBeGreaterThan(50);
  for (const name of documented) expect(helpText()).toContain(`  ${name}`);
});
