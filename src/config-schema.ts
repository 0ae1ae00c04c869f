import * as value from "./config-values.ts";
import type { Value } from "./config-values.ts";

/** What a variable is for; the order is the documentation's. */
export const GROUPS = [
  "server",
  "Kafka",
  "log",
  "streams",
  "publishing",
  "who",
  "watching",
] as const;

/** One environment variable. */
export interface Variable<T> {
  readonly group: (typeof GROUPS)[number];
  readonly description: string;
  readonly value: Value<NonNullable<T>>;
  /** As it would be written in the environment. */
  readonly default: string | undefined;
  /** Shown instead of a default that is not a fixed value. */
  readonly defaultNote: string | undefined;
  readonly aliases: readonly string[];
  /** Never shown; may also come from the file that `<NAME>_FILE` names. */
  readonly isSecret: boolean;
  /** A PEM text, or the path of a file that holds it. */
  readonly isPem: boolean;
}

type Group = Variable<unknown>["group"];
type Extras<T> = Partial<Pick<Variable<T>, "aliases" | "defaultNote" | "isSecret" | "isPem">>;

const MIB = 1_024 ** 2;
const PLAIN = {
  default: undefined,
  defaultNote: undefined,
  aliases: [],
  isSecret: false,
  isPem: false,
} as const;

/** Every variable there is (protocol.md §9). */
export const VARIABLES = {
  PORT: given(
    "server",
    "Port to listen on; 0 picks a free one.",
    "3000",
    value.integer(0, 65_535),
    { aliases: ["SSE_PORT"] },
  ),
  HOST: given(
    "server",
    "Address to listen on. Off loopback, nobody may publish without ALLOW_ANONYMOUS_PUBLISH.",
    "127.0.0.1",
    value.text,
  ),
  ALLOWED_HOSTS: optional(
    "server",
    "Comma list of names that the header Host may have beside loopback names. Off loopback any may be there unless this is set.",
    value.hostNames,
  ),
  TRUSTED_PROXIES: optional(
    "server",
    "Comma list of CIDR ranges, such as 10.0.0.0/8, of proxies whose X-Forwarded-For counts.",
    value.cidrs,
  ),
  TLS_CERT: optional("server", "Certificate chain for HTTPS; needs TLS_KEY.", value.text, {
    isPem: true,
  }),
  TLS_KEY: optional("server", "Private key of TLS_CERT.", value.text, {
    isPem: true,
    isSecret: true,
  }),
  WORKERS: given(
    "server",
    "Processes that serve streams, one core each. More than 1: one more process feeds them, and they share the log's file, so that DATA_DIR must not be :memory:.",
    "1",
    value.integer(1, 64),
  ),
  SHUTDOWN_GRACE: given(
    "server",
    "Milliseconds over which open streams are closed at SIGTERM.",
    "10000",
    value.milliseconds(0),
  ),
  LOG_LEVEL: given(
    "server",
    "trace, debug, info, warn, error, fatal or silent.",
    "info",
    value.oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
  ),
  SSE_ENABLE_LOGGING: given("server", "false is LOG_LEVEL=silent.", "true", value.flag),
  ENABLE_SSE_SERVER: given("server", "false: start, say so, exit 0.", "true", value.flag),
  SSE_CONSOLE: given("server", "The live console at /, for browsers.", "true", value.flag),

  KAFKA_BROKERS: optional(
    "Kafka",
    "Comma list of host:port. Unset: the embedded log, without Kafka.",
    value.brokers,
    { aliases: ["KAFKA_BOOTSTRAP_SERVERS"] },
  ),
  KAFKA_TOPICS: given(
    "Kafka",
    "Comma list of the topics to serve; counts for the embedded log as well.",
    "events",
    value.topics,
  ),
  KAFKA_CLIENT_ID: given(
    "Kafka",
    "Client id that brokers see in their logs and quotas.",
    "headgate",
    value.kafkaName,
  ),
  KAFKA_GROUP_ID: given(
    "Kafka",
    "Prefix of the name under which `/kafka/status` shows this instance's reader; each adds a suffix of its own. No consumer group is joined.",
    "headgate",
    value.kafkaName,
  ),
  KAFKA_CREATE_TOPICS: given("Kafka", "Make missing topics at the start.", "true", value.flag),
  KAFKA_PARTITIONS: given(
    "Kafka",
    "Partitions of topics made at the start.",
    "3",
    value.integer(1, 10_000),
  ),
  KAFKA_REPLICATION_FACTOR: given(
    "Kafka",
    "Replicas of topics made at the start; -1 is the broker's default.",
    "-1",
    value.integer(-1, 32_767),
  ),
  KAFKA_SSL: optional("Kafka", "TLS to the brokers.", value.flag, {
    defaultNote: "`true` where one of KAFKA_SSL_CA, _CERT, _KEY is set, else `false`",
  }),
  KAFKA_SSL_CA: optional(
    "Kafka",
    "Certificate authority of the brokers; unset: the system's.",
    value.text,
    { isPem: true },
  ),
  KAFKA_SSL_CERT: optional("Kafka", "Client certificate; needs KAFKA_SSL_KEY.", value.text, {
    isPem: true,
  }),
  KAFKA_SSL_KEY: optional("Kafka", "Private key of KAFKA_SSL_CERT.", value.text, {
    isPem: true,
    isSecret: true,
  }),
  KAFKA_SASL_MECHANISM: optional(
    "Kafka",
    "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; needs user name and password.",
    value.oneOf("plain", "scram-sha-256", "scram-sha-512"),
  ),
  KAFKA_SASL_USERNAME: optional("Kafka", "User name for SASL.", value.text),
  KAFKA_SASL_PASSWORD: optional("Kafka", "Password for SASL.", value.text, { isSecret: true }),
  PUBLISH_TIMEOUT: given(
    "Kafka",
    "Milliseconds in which Kafka must acknowledge a publish; then it is given up, and 503 says so.",
    "10000",
    value.milliseconds(1),
  ),

  DATA_DIR: given(
    "log",
    "Folder of the local log; :memory: keeps it in memory.",
    "./data",
    value.text,
  ),
  DATA_RETENTION: given(
    "log",
    "How long the local log keeps a record: 30s, 15m, 24h, 7d.",
    "24h",
    value.duration,
  ),
  DATA_MAX_BYTES: given(
    "log",
    "How large the local log may grow.",
    "1GiB",
    value.bytes(MIB, 1_024 ** 5),
  ),

  SSE_DEFAULT_TOPIC: optional("streams", "Topic of publishes that name none.", value.text, {
    defaultNote: "the first of KAFKA_TOPICS",
  }),
  SSE_COMPRESSION: given(
    "streams",
    "gzip for streams whose client accepts it (Accept-Encoding): each batch is compressed once for all who get it.",
    "true",
    value.flag,
  ),
  SSE_HEARTBEAT_INTERVAL: given(
    "streams",
    "Milliseconds without a byte after which a heartbeat is sent.",
    "15000",
    value.milliseconds(1),
  ),
  SSE_RETRY_MS: given(
    "streams",
    "Milliseconds after which clients reconnect, give or take a quarter.",
    "3000",
    value.milliseconds(0),
  ),
  SSE_FLUSH_INTERVAL: given(
    "streams",
    "Milliseconds for which arriving events are gathered; 0: those of one event-loop turn.",
    "0",
    value.milliseconds(0),
  ),
  SSE_MAX_STALL: given(
    "streams",
    "Milliseconds for which a client may take no byte before it is cut.",
    "10000",
    value.milliseconds(1),
  ),
  SSE_MAX_CONNECTION_AGE: given(
    "streams",
    "Milliseconds after which (at 80 to 100% of it) a stream is ended; 0: never.",
    "0",
    value.milliseconds(0),
  ),
  SSE_MAX_CONNECTIONS: given(
    "streams",
    "Most open streams; never more than the file limit less 256.",
    "100000",
    value.integer(1, 10_000_000),
  ),
  SSE_MAX_CONNECTIONS_PER_IP: given(
    "streams",
    "Most open streams of one address (IPv6: of one /64); 0: no limit.",
    "0",
    value.integer(0, 10_000_000),
  ),
  SSE_MAX_CONNECTIONS_PER_USER: given(
    "streams",
    "Most open streams of one user; 0: no limit.",
    "0",
    value.integer(0, 10_000_000),
  ),
  SSE_CLEANUP_INTERVAL: given(
    "streams",
    "Milliseconds between two searches for stalled and expired streams.",
    "5000",
    value.milliseconds(1),
  ),
  SSE_CORS_ORIGIN: optional(
    "streams",
    "Comma list of origins whose pages may read answers, with credentials; or * for all, never with credentials.",
    value.origins,
    { defaultNote: "none" },
  ),

  SSE_MAX_BODY_BYTES: given(
    "publishing",
    "Largest body of POST /events.",
    "1MiB",
    value.bytes(1, 1_024 * MIB),
  ),
  SSE_MAX_EVENT_BYTES: given(
    "publishing",
    "Largest event; larger records become `skipped` events.",
    "256KiB",
    value.bytes(1, 1_024 * MIB),
  ),
  SSE_PUBLISH_RATE: given(
    "publishing",
    "Events a second per user, or per address without one; 0: no limit.",
    "0",
    value.rate,
  ),

  AUTH: given(
    "who",
    "none: no tokens; or jwt: every request needs one, but for /health, /livez and /readyz.",
    "none",
    value.oneOf("none", "jwt"),
  ),
  JWT_SECRET: optional(
    "who",
    "Secret of HS256, HS384 and HS512 tokens; at least 32 bytes are advised.",
    value.hmacSecret,
    { isSecret: true },
  ),
  JWT_PUBLIC_KEY: optional(
    "who",
    "Public key (or certificate) of RS, ES and EdDSA tokens; needs JWT_AUDIENCE.",
    value.text,
    { isPem: true },
  ),
  JWT_JWKS_URL: optional(
    "who",
    "Where the public keys of RS, ES and EdDSA tokens are fetched; needs JWT_AUDIENCE.",
    value.httpUrl,
  ),
  JWT_ISSUER: optional("who", "What the claim iss must be.", value.text),
  JWT_AUDIENCE: optional("who", "What the claim aud must be, or hold.", value.text),
  JWT_DEFAULT_CLAIMS: optional(
    "who",
    'JSON of what every token may do beside its own claim, such as {"subscribe":["public.*"]}.',
    value.claims,
  ),
  SSE_ALLOW_QUERY_TOKEN: given(
    "who",
    "Tokens also in ?token=, for EventSource, which cannot send headers. Proxies may log them.",
    "false",
    value.flag,
  ),
  ALLOW_ANONYMOUS_PUBLISH: given(
    "who",
    "Publishing without a token from anywhere.",
    "false",
    value.flag,
  ),
  ALLOW_ANONYMOUS_USERS: given(
    "who",
    "Naming oneself (userId, username, clientId) without a token from anywhere.",
    "false",
    value.flag,
  ),

  SSE_UPDATE_INTERVAL: given(
    "watching",
    "Milliseconds between two updates of /stream/dashboard.",
    "5000",
    value.milliseconds(100),
  ),
  SSE_DASHBOARD_TOPIC: optional(
    "watching",
    "Topic whose records are sections of the dashboard: the key names the section, the value is its JSON. It is read beside KAFKA_TOPICS, and served only where it is one of them.",
    value.topic,
  ),
  SSE_SANITIZE_DATA: given(
    "watching",
    "No hosts, groups and users on the dashboard and the status.",
    "true",
    value.flag,
  ),
  AGGREGATE_FIELDS: optional(
    "watching",
    "Comma list of up to 16 paths of numbers in events' JSON, such as payload.times, whose minimum, maximum, mean and quantiles are kept.",
    value.jsonPaths,
  ),
} as const satisfies Record<string, Variable<unknown>>;

export type VariableName = keyof typeof VARIABLES;

/** What every variable means, once parsed. */
export type Values = {
  readonly [N in VariableName]: (typeof VARIABLES)[N] extends Variable<infer T> ? T : never;
};

function given<T>(
  group: Group,
  description: string,
  defaultText: string,
  type: Value<NonNullable<T>>,
  extras: Extras<T> = {},
): Variable<T> {
  return { ...PLAIN, ...extras, group, description, value: type, default: defaultText };
}

function optional<T>(
  group: Group,
  description: string,
  type: Value<NonNullable<T>>,
  extras: Extras<T> = {},
): Variable<T | undefined> {
  return { ...PLAIN, ...extras, group, description, value: type };
}
