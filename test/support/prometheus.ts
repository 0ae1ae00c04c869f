import { join } from "node:path";
import { isQuick } from "./effort.ts";
import { until } from "./feed.ts";
import { freePort } from "./kafka-node.ts";

/** Whether tests can have a Prometheus. With CI set it throws instead of saying no: nothing is skipped there. */
export function prometheusAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = Bun.which("prometheus") !== null && Bun.which("promtool") !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests of what Prometheus is given need the commands prometheus and promtool");
  }
  return isAvailable;
}

/** Runs promtool; resolves with its exit code, and what it said. */
export async function promtool(...args: string[]): Promise<{ code: number; said: string }> {
  const child = Bun.spawn(["promtool", ...args], { stdout: "pipe", stderr: "pipe" });
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, said: `${out}${err}` };
}

/** A series and its value, as Prometheus answers a query. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/** One rule, as Prometheus has evaluated it. */
export interface EvaluatedRule {
  readonly name: string;
  readonly query: string;
  readonly health: "ok" | "err" | "unknown";
  readonly lastError?: string;
}

/** A Prometheus of its own, on a free port of loopback. Ended by `await using`. */
export class Prometheus implements AsyncDisposable {
  readonly #url: string;
  readonly #process: Bun.Subprocess;

  private constructor(url: string, process_: Bun.Subprocess) {
    this.#url = url;
    this.#process = process_;
  }

  /** @param directory holds `prometheus.yml`, and takes the data. */
  static async start(directory: string): Promise<Prometheus> {
    const address = `127.0.0.1:${await freePort()}`;
    const process_ = Bun.spawn(
      [
        "prometheus",
        `--config.file=${join(directory, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(directory, "data")}`,
        `--web.listen-address=${address}`,
        "--log.level=error",
      ],
      { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    );
    const url = `http://${address}`;
    const isReady = (): Promise<boolean> =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(async () => process_.exitCode !== null || (await isReady()));
    if (process_.exitCode !== null) throw new Error("Prometheus did not start");
    return new Prometheus(url, process_);
  }

  /** @throws Error with what Prometheus says of an expression that it cannot evaluate. */
  async query(expression: string): Promise<readonly Sample[]> {
    const { result } = await this.#get<{ result: Sample[] }>(
      `query?${new URLSearchParams({ query: expression }).toString()}`,
    );
    return result;
  }

  async rules(): Promise<readonly EvaluatedRule[]> {
    const { groups } = await this.#get<{ groups: { rules: EvaluatedRule[] }[] }>("rules");
    return groups.flatMap(({ rules }) => rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    // The cast holds: it is the shape of Prometheus's API, version 1.
    const answer = (await response.json()) as { data: T; error?: string };
    if (!response.ok) throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  }
}
