import "./bun-version.ts";
import packageJson from "../package.json" with { type: "json" };
import { type Config, helpText } from "./config.ts";
import { HeadgateError } from "./errors.ts";
import { createHeadgate, type Headgate } from "./headgate.ts";
import { createLogger, type Logger } from "./logger.ts";
import { WORKER_ARGUMENT } from "./serving/worker-command.ts";
import { warningsOf } from "./warnings.ts";

// Above what is awaited: signals come at any time.
/** How soon after a signal another one is the same one again. */
const ECHO_MS = 50;

/** What letting go of files and sockets may take beyond the grace. */
const OVERTIME_MS = 2000;

const [option] = process.argv.slice(2);
if (option === "--help" || option === "-h") {
  process.stdout.write(helpText());
} else if (option === "--version") {
  process.stdout.write(`headgate ${packageJson.version}\n`);
} else if (option === WORKER_ARGUMENT && process.send) {
  await import("./serving/worker.ts");
} else if (option !== undefined) {
  fail(`Unknown option ${option}; use --help or --version. Settings are environment variables.`);
} else {
  await run();
}

async function run(): Promise<void> {
  try {
    const headgate = createHeadgate({ environment: process.env });
    const { config } = headgate;
    if (!config.server.isEnabled) {
      process.stderr.write("ENABLE_SSE_SERVER is false: there is nothing to do.\n");
      return;
    }
    stopOnSignals(headgate, createLogger(config.server.logLevel));
    await headgate.start();
    process.stderr.write(firstScreen(headgate.url, config));
  } catch (error) {
    if (error instanceof HeadgateError) fail(error.message);
    throw error;
  }
}

/** The first signal drains, the second one exits at once. */
function stopOnSignals(headgate: Headgate, logger: Logger): void {
  let stoppingSinceMs: number | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    if (stoppingSinceMs !== undefined) {
      // Ctrl-C under npx comes twice: from the terminal, and passed on by `bun run`.
      const isEcho = signal === "SIGINT" && performance.now() - stoppingSinceMs < ECHO_MS;
      if (!isEcho) process.exit(1);
      return;
    }
    stoppingSinceMs = performance.now();
    const graceMs = headgate.config.server.shutdownGraceMs;
    logger.info({ signal }, "process is asked to stop");
    setTimeout(() => process.exit(1), graceMs + OVERTIME_MS).unref();
    headgate.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: error }, "server did not stop cleanly");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

function firstScreen(url: string, config: Config): string {
  const { kafka, topics, log, who } = config;
  const from = kafka
    ? `Kafka at ${kafka.brokers.join(", ")}`
    : `the embedded log in ${log.dataDir}`;
  const warnings = warningsOf(config).map((warning) => `\n  WARNING: ${warning}.\n`);
  const token = who.jwt ? " -H 'Authorization: Bearer …'" : "";
  return `
  Headgate ${packageJson.version} streams ${topics.join(", ")} from ${from}

    subscribe   curl -N ${url}/events${token}
    publish     curl ${url}/events -H 'Content-Type: application/json' -d '{"data":{"hello":"world"}}'${token}
    look        ${url}/    all settings: --help
${warnings.join("")}`;
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
