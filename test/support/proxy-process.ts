import { readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./feed.ts";
import type { Settings } from "./server.ts";
import type { Certificate } from "./tls.ts";

/** What differs from the committed file, in which everything else is left as it is. */
export interface ProxyChanges {
  readonly certificate: Certificate;
  /** The server's port. */
  readonly upstream: number;
  /** Instead of 60 s. */
  readonly readTimeoutMs?: number | undefined;
  /** Instead of the 3 s after which clients of an absent server come back. */
  readonly retryMs?: number | undefined;
  /** The origin whose pages may read. */
  readonly origin?: string | undefined;
}

/** A proxy started from the files of `deploy/`. Ended by `await using`. */
export interface RunningProxy extends AsyncDisposable {
  /** Where it takes TLS. */
  readonly port: number;
  /** Everything that it has logged. */
  logs(): string;
}

/** A way to put a proxy before the server. */
export interface Proxy {
  start(changes: ProxyChanges): Promise<RunningProxy>;
}

/** A file of `deploy/` with these texts replaced. @throws Error where it no longer has one of them. */
export function deployed(
  file: string,
  replacements: readonly (readonly [from: string, to: string | number])[],
): string {
  let text = readFileSync(join(import.meta.dir, "../../deploy", file), "utf8");
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`deploy/${file} has no ${from}`);
    text = text.replaceAll(from, String(to));
  }
  return text;
}

/** A running command, and what it writes. */
export interface ProxyProcess extends AsyncDisposable {
  output(): string;
}

/** Runs a proxy, and waits until it takes connections on this port. */
export async function startProxyProcess(
  command: readonly string[],
  port: number,
  environment: Settings = {},
): Promise<ProxyProcess> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let text = "";
  const collect = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const piece of stream) text += decoder.decode(piece, { stream: true });
  };
  const written = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    await written;
  };
  try {
    await until(async () => child.exitCode !== null || (await connects(port)));
    if (child.exitCode !== null) throw new Error(`${command[0]} did not start: ${text}`);
  } catch (error) {
    await end();
    throw error;
  }
  return { output: () => text, [Symbol.asyncDispose]: end };
}

async function connects(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}
