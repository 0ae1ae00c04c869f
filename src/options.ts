import type { VariableName } from "./config-schema.ts";
import type { DashboardSource } from "./dashboard/dashboard-data.ts";

/** A number, or its text. */
type Amount = number | string;

/**
 * How a server inside another application runs. Every option is a setting of
 * `docs/configuration.md` under a name of its own, and means what that means; what is left out has
 * the same default. Times end with their unit.
 */
export interface HeadgateOptions {
  /**
   * Settings under their names as environment variables. Options win over them; an alias that says
   * otherwise than an option is refused. Nothing else of the process's environment is read.
   */
  readonly environment?: Readonly<Record<string, string | undefined>>;

  /** 0 picks a free one. */
  readonly port?: number;
  readonly host?: string;
  /** false: `start` does nothing. */
  readonly enabled?: boolean;
  readonly allowedHosts?: readonly string[];
  /** CIDR ranges. */
  readonly trustedProxies?: readonly string[];
  /** PEM text, or the path of a file. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  /** Processes that serve streams. */
  readonly workers?: number;
  readonly shutdownGraceMs?: number;
  readonly logLevel?: string;
  readonly enableLogging?: boolean;

  /** Topics to serve; the first is that of events that name none. */
  readonly topics?: readonly string[];
  readonly defaultTopic?: string;
  /** `host:port`; left out: the embedded log. */
  readonly kafkaBrokers?: readonly string[];
  readonly kafkaClientId?: string;
  readonly kafkaGroupId?: string;
  readonly kafkaCreateTopics?: boolean;
  readonly kafkaPartitions?: number;
  readonly kafkaReplicationFactor?: number;
  readonly kafkaSsl?: boolean;
  readonly kafkaSslCa?: string;
  readonly kafkaSslCert?: string;
  readonly kafkaSslKey?: string;
  readonly kafkaSaslMechanism?: string;
  readonly kafkaSaslUsername?: string;
  readonly kafkaSaslPassword?: string;
  readonly publishTimeoutMs?: number;

  /** A folder, or `:memory:`. */
  readonly dataDir?: string;
  /** `30s`, `15m`, `24h`, `7d`. */
  readonly dataRetention?: string;
  /** Bytes, or `256MiB`. */
  readonly dataMaxBytes?: Amount;

  /** false: no gzip, whatever clients accept. */
  readonly compression?: boolean;
  readonly heartbeatMs?: number;
  readonly retryMs?: number;
  readonly flushMs?: number;
  readonly maxStallMs?: number;
  readonly maxConnectionAgeMs?: number;
  readonly maxConnections?: number;
  readonly maxConnectionsPerIp?: number;
  readonly maxConnectionsPerUser?: number;
  readonly cleanupMs?: number;
  /** `*`, one origin, or several. */
  readonly corsOrigin?: string | readonly string[];

  readonly maxBodyBytes?: Amount;
  readonly maxEventBytes?: Amount;
  /** Events a second of one user or address. */
  readonly publishRate?: number;

  readonly auth?: "none" | "jwt";
  readonly jwtSecret?: string;
  readonly jwtPublicKey?: string;
  readonly jwtJwksUrl?: string;
  readonly jwtIssuer?: string;
  readonly jwtAudience?: string;
  readonly jwtDefaultClaims?: object;
  readonly allowQueryToken?: boolean;
  readonly allowAnonymousPublish?: boolean;
  readonly allowAnonymousUsers?: boolean;

  /** false: browsers get no live console at `/`. */
  readonly console?: boolean;
  /** The application's own sections of the dashboard. */
  readonly dashboard?: DashboardSource;
  /** Between two updates of the dashboard's stream. */
  readonly updateIntervalMs?: number;
  readonly dashboardTopic?: string;
  /** false: hosts, groups and users are shown on the dashboard and the status. */
  readonly sanitizeData?: boolean;
  /** Paths of numbers in events' JSON, such as `payload.times`. */
  readonly aggregateFields?: readonly string[];
}

/** Which variable each option is. */
export const OPTION_VARIABLES = {
  port: "PORT",
  host: "HOST",
  enabled: "ENABLE_SSE_SERVER",
  allowedHosts: "ALLOWED_HOSTS",
  trustedProxies: "TRUSTED_PROXIES",
  tlsCert: "TLS_CERT",
  tlsKey: "TLS_KEY",
  workers: "WORKERS",
  shutdownGraceMs: "SHUTDOWN_GRACE",
  logLevel: "LOG_LEVEL",
  enableLogging: "SSE_ENABLE_LOGGING",
  topics: "KAFKA_TOPICS",
  defaultTopic: "SSE_DEFAULT_TOPIC",
  kafkaBrokers: "KAFKA_BROKERS",
  kafkaClientId: "KAFKA_CLIENT_ID",
  kafkaGroupId: "KAFKA_GROUP_ID",
  kafkaCreateTopics: "KAFKA_CREATE_TOPICS",
  kafkaPartitions: "KAFKA_PARTITIONS",
  kafkaReplicationFactor: "KAFKA_REPLICATION_FACTOR",
  kafkaSsl: "KAFKA_SSL",
  kafkaSslCa: "KAFKA_SSL_CA",
  kafkaSslCert: "KAFKA_SSL_CERT",
  kafkaSslKey: "KAFKA_SSL_KEY",
  kafkaSaslMechanism: "KAFKA_SASL_MECHANISM",
  kafkaSaslUsername: "KAFKA_SASL_USERNAME",
  kafkaSaslPassword: "KAFKA_SASL_PASSWORD",
  publishTimeoutMs: "PUBLISH_TIMEOUT",
  dataDir: "DATA_DIR",
  dataRetention: "DATA_RETENTION",
  dataMaxBytes: "DATA_MAX_BYTES",
  compression: "SSE_COMPRESSION",
  heartbeatMs: "SSE_HEARTBEAT_INTERVAL",
  retryMs: "SSE_RETRY_MS",
  flushMs: "SSE_FLUSH_INTERVAL",
  maxStallMs: "SSE_MAX_STALL",
  maxConnectionAgeMs: "SSE_MAX_CONNECTION_AGE",
  maxConnections: "SSE_MAX_CONNECTIONS",
  maxConnectionsPerIp: "SSE_MAX_CONNECTIONS_PER_IP",
  maxConnectionsPerUser: "SSE_MAX_CONNECTIONS_PER_USER",
  cleanupMs: "SSE_CLEANUP_INTERVAL",
  corsOrigin: "SSE_CORS_ORIGIN",
  maxBodyBytes: "SSE_MAX_BODY_BYTES",
  maxEventBytes: "SSE_MAX_EVENT_BYTES",
  publishRate: "SSE_PUBLISH_RATE",
  auth: "AUTH",
  jwtSecret: "JWT_SECRET",
  jwtPublicKey: "JWT_PUBLIC_KEY",
  jwtJwksUrl: "JWT_JWKS_URL",
  jwtIssuer: "JWT_ISSUER",
  jwtAudience: "JWT_AUDIENCE",
  jwtDefaultClaims: "JWT_DEFAULT_CLAIMS",
  allowQueryToken: "SSE_ALLOW_QUERY_TOKEN",
  allowAnonymousPublish: "ALLOW_ANONYMOUS_PUBLISH",
  allowAnonymousUsers: "ALLOW_ANONYMOUS_USERS",
  console: "SSE_CONSOLE",
  updateIntervalMs: "SSE_UPDATE_INTERVAL",
  dashboardTopic: "SSE_DASHBOARD_TOPIC",
  sanitizeData: "SSE_SANITIZE_DATA",
  aggregateFields: "AGGREGATE_FIELDS",
} as const satisfies Record<
  Exclude<keyof HeadgateOptions, "environment" | "dashboard">,
  VariableName
>;

/** The options as environment variables, so that one schema judges both; code cannot be one. */
export function toEnvironment({
  environment = {},
  ...options
}: HeadgateOptions): Record<string, string | undefined> {
  const variables: Record<string, string | undefined> = { ...environment };
  for (const [option, value] of Object.entries(options)) {
    if (option === "dashboard") continue;
    // What is passed without types may be null: it is left out too.
    if (value === undefined || value === null) continue;
    variables[variableOf(option)] = toText(value, NEVER_EMPTY.has(option));
  }
  return variables;
}

/** An option that does not exist is passed on by its name with what makes every environment refuse it. */
function variableOf(option: string): string {
  const known: Readonly<Record<string, string>> = OPTION_VARIABLES;
  return (Object.hasOwn(known, option) ? known[option] : undefined) ?? `SSE_${option}`;
}

/** An empty list of these is a mistake, and must not mean what leaving it out means. */
const NEVER_EMPTY = new Set(["topics", "kafkaBrokers"]);

function toText(value: string | number | boolean | object, isNeverEmpty: boolean): string {
  if (Array.isArray(value)) return value.length === 0 && isNeverEmpty ? "," : value.join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
