import { readFileSync } from "node:fs";
import type { Claims } from "./auth/claims.ts";
import type { Cidr } from "./cidr.ts";
import { GROUPS, VARIABLES } from "./config-schema.ts";
import type { Values, Variable, VariableName } from "./config-schema.ts";
import { EnvironmentReader, unknownNames } from "./config-reader.ts";
import type { Environment, ReadFile } from "./config-reader.ts";
import { HeadgateError, quote } from "./errors.ts";
import type { LogLevel } from "./logger.ts";

/** How this instance runs: the environment, checked and with defaults. Times are in milliseconds. */
export interface Config {
  readonly server: {
    /** false: start, say so, exit 0. */
    readonly isEnabled: boolean;
    readonly port: number;
    readonly host: string;
    /** Lower case, without ports; empty: see protocol.md §7. */
    readonly allowedHosts: readonly string[];
    readonly trustedProxies: readonly Cidr[];
    /** Whose pages may read answers. */
    readonly corsOrigins: "any" | readonly string[];
    /** PEM texts. */
    readonly tls: { readonly cert: string; readonly key: string } | undefined;
    readonly shutdownGraceMs: number;
    readonly logLevel: LogLevel;
    /** Processes that serve; 1: this one. */
    readonly workers: number;
    /** Whether browsers get the live console at `/`. */
    readonly hasConsole: boolean;
  };
  /** undefined: the embedded log, without Kafka. */
  readonly kafka: KafkaSettings | undefined;
  /** What is served, with and without Kafka; never empty. */
  readonly topics: readonly string[];
  /** What is read into the log, and may be published to: `topics`, and the dashboard's. */
  readonly heldTopics: readonly string[];
  readonly log: {
    /** `:memory:` or a folder. */
    readonly dataDir: string;
    readonly retentionMs: number;
    readonly maxBytes: number;
  };
  readonly streams: {
    /** One of `topics`. */
    readonly defaultTopic: string;
    /** Whether clients that accept gzip get it. */
    readonly isCompressed: boolean;
    readonly heartbeatMs: number;
    readonly retryMs: number;
    /** 0: what has arrived leaves at the end of the event-loop turn. */
    readonly flushMs: number;
    readonly maxStallMs: number;
    /** 0: no limit. */
    readonly maxConnectionAgeMs: number;
    readonly maxConnections: number;
    /** 0: no limit. */
    readonly maxConnectionsPerAddress: number;
    /** 0: no limit. */
    readonly maxConnectionsPerUser: number;
    readonly cleanupMs: number;
  };
  readonly publishing: {
    readonly timeoutMs: number;
    readonly maxBodyBytes: number;
    readonly maxEventBytes: number;
    /** Events a second of one user, or of one address without one; 0: no limit. */
    readonly rate: number;
  };
  readonly who: {
    readonly allowAnonymousPublish: boolean;
    readonly allowAnonymousUsers: boolean;
    readonly allowQueryToken: boolean;
    /** undefined: AUTH=none. */
    readonly jwt: JwtSettings | undefined;
  };
  readonly watching: {
    /** Between two updates of the dashboard's stream. */
    readonly updateIntervalMs: number;
    /** Whose records are sections of the dashboard. */
    readonly dashboardTopic: string | undefined;
    /** Whether hosts, groups and users are left out of the dashboard and the status. */
    readonly isSanitized: boolean;
    /** Paths of numbers in events' JSON. */
    readonly fields: readonly string[];
  };
}

interface JwtSettings {
  /** Exactly one of `secret`, `publicKey` and `jwksUrl` is there. */
  readonly secret: string | undefined;
  /** PEM text. */
  readonly publicKey: string | undefined;
  readonly jwksUrl: string | undefined;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  /** What every token may do. */
  readonly defaultClaims: Claims;
}

interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Prefix of the consumer groups' names. */
  readonly groupId: string;
  /** PEM texts. */
  readonly ssl: boolean | { ca?: string; cert?: string; key?: string };
  readonly sasl?: {
    readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
    readonly username: string;
    readonly password: string;
  };
  readonly createTopics: boolean;
  readonly partitions: number;
  /** -1: the broker's default. */
  readonly replicationFactor: number;
}

/**
 * Reads the environment by protocol.md §9. An empty value is the same as none.
 *
 * @throws HeadgateError `configuration`, with all faults; the value of a secret is in none of them.
 */
export function parseConfig(
  environment: Environment,
  readFile: ReadFile = (path) => readFileSync(path, "utf8"),
): Config {
  const reader = new EnvironmentReader(environment, readFile);
  const parsed = Object.fromEntries(
    NAMES.map((name) => [name, reader.parse(name, VARIABLES[name])]),
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each name has what its own schema made; what is faulty is undefined, and then nothing is arranged
  const values = parsed as unknown as Values;
  const faults = [
    ...reader.faults,
    ...unknownNames(environment),
    ...contradictions(values, reader.faulty),
  ];
  if (faults.length > 0) {
    const list = faults.map((fault) => `\n- ${fault}`).join("");
    throw new HeadgateError("configuration", `The configuration cannot be used:${list}`);
  }
  return arrange(values);
}

/** What `--help` prints. */
export function helpText(): string {
  const lines = ["Headgate: Kafka topics, live, as Server-Sent Events. Environment variables:"];
  for (const group of GROUPS) {
    lines.push("", group);
    for (const [name, variable] of membersOf(group)) {
      const aliases = variable.aliases.map((alias) => `, ${alias}`).join("");
      const standard = variable.defaultNote ?? variable.default;
      const notes = [standard === undefined ? "" : ` (${standard})`, remarks(name, variable)];
      lines.push(`  ${name}${aliases}${notes.join("")}`, `      ${variable.description}`);
    }
  }
  return `${lines.join("\n").replaceAll("`", "")}\n`;
}

/** `docs/configuration.md`. */
export function configurationMarkdown(): string {
  const lines = [
    "# Configuration",
    "",
    "Printed from the schema by `bun run docs:configuration`; do not edit. All of it is environment variables; an empty value is the same as none.",
    "",
    "The start stops and lists all faults at once: malformed values, unknown names that begin with `SSE_`, `JWT_` or `AGGREGATE_`, names that look like a mistyped one, and aliases that disagree. What Kubernetes injects for its services is left alone.",
    "",
    "Secrets may also come from a file: `<NAME>_FILE` names it. Certificates and keys are PEM texts or paths of PEM files.",
  ];
  for (const group of GROUPS) {
    lines.push("", `## ${group}`, "", "| variable | default | meaning |", "|---|---|---|");
    for (const [name, variable] of membersOf(group)) {
      const names = [name, ...variable.aliases].map((each) => `\`${each}\``).join(", alias ");
      const standard =
        variable.defaultNote ?? (variable.default === undefined ? "" : `\`${variable.default}\``);
      lines.push(`| ${names} | ${standard} | ${variable.description}${remarks(name, variable)} |`);
    }
  }
  return `${lines.join("\n")}\n`;
}

const NAMES = Object.keys(VARIABLES).filter((name): name is VariableName => name in VARIABLES);

function membersOf(group: string): [VariableName, Variable<unknown>][] {
  return NAMES.map((name): [VariableName, Variable<unknown>] => [name, VARIABLES[name]]).filter(
    ([, variable]) => variable.group === group,
  );
}

function remarks(name: string, { isSecret }: Variable<unknown>): string {
  return isSecret ? ` Secret; or \`${name}_FILE\`.` : "";
}

/** Settings that are good one by one but not together; nothing is said of those that are not good. */
function contradictions(values: Values, faulty: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  const together = (...names: VariableName[]): void => {
    if (names.some((name) => faulty.has(name))) return;
    const missing = names.filter((name) => values[name] === undefined);
    if (missing.length === 0 || missing.length === names.length) return;
    faults.push(`${missing.join(" and ")} must be set: ${names.join(", ")} belong together`);
  };
  together("TLS_CERT", "TLS_KEY");
  together("KAFKA_SSL_CERT", "KAFKA_SSL_KEY");
  together("KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD");
  if (values.KAFKA_SSL === false && Object.keys(sslFiles(values)).length > 0) {
    faults.push('KAFKA_SSL is "false": KAFKA_SSL_CA, KAFKA_SSL_CERT and KAFKA_SSL_KEY need it');
  }
  const topic = values.SSE_DEFAULT_TOPIC;
  if (topic !== undefined && !faulty.has("KAFKA_TOPICS") && !values.KAFKA_TOPICS.includes(topic)) {
    const served = values.KAFKA_TOPICS.join(", ");
    faults.push(`SSE_DEFAULT_TOPIC is ${quote(topic)}: KAFKA_TOPICS serves ${quote(served)}`);
  }
  if (!faulty.has("WORKERS") && values.WORKERS > 1 && values.DATA_DIR === ":memory:") {
    faults.push(
      `WORKERS is ${values.WORKERS}, and DATA_DIR is :memory:, which other processes cannot read: name a folder, or set WORKERS=1`,
    );
  }
  if (!faulty.has("AUTH")) faults.push(...authContradictions(values, faulty));
  return faults;
}

const JWT_KEYS = ["JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL"] as const;

function authContradictions(values: Values, faulty: ReadonlySet<string>): string[] {
  const set = JWT_KEYS.filter((name) => values[name] !== undefined || faulty.has(name));
  if (values.AUTH === "none") {
    // Whoever sets a key means that tokens are checked.
    return set.map((name) => `${name} is set, but AUTH is none: set AUTH=jwt, or unset ${name}`);
  }
  const faults: string[] = [];
  if (set.length !== 1) {
    const found = set.length === 0 ? "none of them is set" : `${set.join(" and ")} are set`;
    faults.push(`AUTH is jwt: one of ${JWT_KEYS.join(", ")} must be set; ${found}`);
  }
  const isPublic = values.JWT_PUBLIC_KEY !== undefined || values.JWT_JWKS_URL !== undefined;
  if (isPublic && values.JWT_AUDIENCE === undefined && !faulty.has("JWT_AUDIENCE")) {
    // Public keys are often an identity provider's, which signs for other services too.
    faults.push("JWT_AUDIENCE must be set where tokens are checked by public keys");
  }
  return faults;
}

function arrange(values: Values): Config {
  const { TLS_CERT: cert, TLS_KEY: key, KAFKA_TOPICS: topics } = values;
  const dashboardTopic = values.SSE_DASHBOARD_TOPIC;
  return {
    server: {
      isEnabled: values.ENABLE_SSE_SERVER,
      port: values.PORT,
      host: values.HOST,
      allowedHosts: values.ALLOWED_HOSTS ?? [],
      trustedProxies: values.TRUSTED_PROXIES ?? [],
      corsOrigins: values.SSE_CORS_ORIGIN ?? [],
      tls: cert === undefined || key === undefined ? undefined : { cert, key },
      shutdownGraceMs: values.SHUTDOWN_GRACE,
      logLevel: values.SSE_ENABLE_LOGGING ? values.LOG_LEVEL : "silent",
      workers: values.WORKERS,
      hasConsole: values.SSE_CONSOLE,
    },
    kafka: arrangeKafka(values),
    topics,
    heldTopics: [
      ...new Set([...topics, ...(dashboardTopic === undefined ? [] : [dashboardTopic])]),
    ],
    log: {
      dataDir: values.DATA_DIR,
      retentionMs: values.DATA_RETENTION,
      maxBytes: values.DATA_MAX_BYTES,
    },
    streams: {
      // A list has at least one item.
      defaultTopic: values.SSE_DEFAULT_TOPIC ?? topics[0] ?? "",
      isCompressed: values.SSE_COMPRESSION,
      heartbeatMs: values.SSE_HEARTBEAT_INTERVAL,
      retryMs: values.SSE_RETRY_MS,
      flushMs: values.SSE_FLUSH_INTERVAL,
      maxStallMs: values.SSE_MAX_STALL,
      maxConnectionAgeMs: values.SSE_MAX_CONNECTION_AGE,
      maxConnections: values.SSE_MAX_CONNECTIONS,
      maxConnectionsPerAddress: values.SSE_MAX_CONNECTIONS_PER_IP,
      maxConnectionsPerUser: values.SSE_MAX_CONNECTIONS_PER_USER,
      cleanupMs: values.SSE_CLEANUP_INTERVAL,
    },
    publishing: {
      timeoutMs: values.PUBLISH_TIMEOUT,
      maxBodyBytes: values.SSE_MAX_BODY_BYTES,
      maxEventBytes: values.SSE_MAX_EVENT_BYTES,
      rate: values.SSE_PUBLISH_RATE,
    },
    who: {
      allowAnonymousPublish: values.ALLOW_ANONYMOUS_PUBLISH,
      allowAnonymousUsers: values.ALLOW_ANONYMOUS_USERS,
      allowQueryToken: values.SSE_ALLOW_QUERY_TOKEN,
      jwt: values.AUTH === "jwt" ? arrangeJwt(values) : undefined,
    },
    watching: {
      updateIntervalMs: values.SSE_UPDATE_INTERVAL,
      dashboardTopic,
      isSanitized: values.SSE_SANITIZE_DATA,
      fields: values.AGGREGATE_FIELDS ?? [],
    },
  };
}

function arrangeJwt(values: Values): JwtSettings {
  return {
    secret: values.JWT_SECRET,
    publicKey: values.JWT_PUBLIC_KEY,
    jwksUrl: values.JWT_JWKS_URL,
    issuer: values.JWT_ISSUER,
    audience: values.JWT_AUDIENCE,
    defaultClaims: values.JWT_DEFAULT_CLAIMS ?? {},
  };
}

function arrangeKafka(values: Values): KafkaSettings | undefined {
  if (values.KAFKA_BROKERS === undefined) return undefined;
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username } = values;
  const password = values.KAFKA_SASL_PASSWORD;
  const hasSasl = mechanism !== undefined && username !== undefined && password !== undefined;
  const files = sslFiles(values);
  return {
    brokers: values.KAFKA_BROKERS,
    clientId: values.KAFKA_CLIENT_ID,
    groupId: values.KAFKA_GROUP_ID,
    ssl: Object.keys(files).length > 0 ? files : (values.KAFKA_SSL ?? false),
    ...(hasSasl ? { sasl: { mechanism, username, password } } : {}),
    createTopics: values.KAFKA_CREATE_TOPICS,
    partitions: values.KAFKA_PARTITIONS,
    replicationFactor: values.KAFKA_REPLICATION_FACTOR,
  };
}

function sslFiles(values: Values): { ca?: string; cert?: string; key?: string } {
  const { KAFKA_SSL_CA: ca, KAFKA_SSL_CERT: cert, KAFKA_SSL_KEY: key } = values;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
