import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { VARIABLES } from "../src/config-schema.ts";
import { until } from "./support/feed.ts";
import { Prometheus, prometheusAvailable, promtool } from "./support/prometheus.ts";
import { type LocalServer, publish, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";
import { TestSubscriber } from "./support/subscriber.ts";

setDefaultTimeout(30_000);

const DEPLOY = join(import.meta.dir, "../deploy");

const read = (name: string): string => readFileSync(join(DEPLOY, name), "utf8");

test("the alerts name settings that there are", () => {
  const named = read("alerts.yml").match(/\b(?:SSE|DATA|KAFKA|PUBLISH|AGGREGATE)_[A-Z_]+\b/g) ?? [];
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !(name in VARIABLES))).toEqual([]);
});

test("the dashboard works on any machine: its data source and its instances are chosen", () => {
  const text = read("grafana/headgate.json");
  const uids = [...text.matchAll(/"uid": "([^"]*)"/g)].map(([, uid]) => uid);
  expect(new Set(uids)).toEqual(new Set(["${datasource}", "headgate"]));
  expect(queriesOf(text).length).toBeGreaterThan(30);
  for (const query of queriesOf(text)) expect(query).toInclude('instance=~"$instance"');
});

describe.skipIf(!prometheusAvailable())("with Prometheus", () => {
  test("promtool finds no fault with the configuration and the rules, and the rules do as their tests say", async () => {
    const checks = [
      promtool("check", "config", join(DEPLOY, "prometheus.yml")),
      promtool("check", "rules", join(DEPLOY, "alerts.yml")),
      promtool("test", "rules", join(DEPLOY, "alerts.test.yml")),
    ];
    for (const { code, said } of await Promise.all(checks)) {
      expect(said).not.toInclude("FAILED");
      expect(code).toBe(0);
    }
  });

  describe("that scrapes a server under load", () => {
    const directory = temporaryDirectory();
    const held = new AsyncDisposableStack();
    let prometheus: Prometheus;

    beforeAll(async () => {
      const server = held.use(await startLocalServer());
      const configuration = read("prometheus.yml")
        .replaceAll("15s", "250ms")
        .replace("localhost:3000", new URL(server.url).host);
      writeFileSync(join(directory.path, "prometheus.yml"), configuration);
      cpSync(join(DEPLOY, "alerts.yml"), join(directory.path, "alerts.yml"));
      prometheus = held.use(await Prometheus.start(directory.path));
      held.use(startLoad(server));
    });

    afterAll(async () => {
      await held.disposeAsync();
      directory[Symbol.dispose]();
    });

    /** The value of one series at least is a number. */
    const hasData = async (query: string): Promise<boolean> =>
      (await prometheus.query(query)).some(({ value }) => Number.isFinite(Number(value[1])));

    test("every query of the dashboard has data", async () => {
      const queries = new Set(
        queriesOf(read("grafana/headgate.json")).map((query) =>
          query.replaceAll("$__rate_interval", "2s").replaceAll("$instance", ".*"),
        ),
      );
      await untilNoneLeft(queries, hasData);
    });

    test("every alert can be evaluated, of series that there are", async () => {
      await until(async () =>
        (await prometheus.rules()).every(({ health }) => health !== "unknown"),
      );
      const rules = await prometheus.rules();
      expect(rules.length).toBeGreaterThan(15);
      expect(rules.map(({ name, lastError = "" }) => `${name} ${lastError}`.trim())).toEqual(
        rules.map(({ name }) => name),
      );
      const text = rules.map(({ query }) => query).join("\n");
      const selectors = text.match(/\b(?:up|(?:headgate|sse|process)_\w+)(?:\{[^}]*\})?/g) ?? [];
      await untilNoneLeft(new Set(selectors), hasData);
    });
  });
});

/** Everything that the dashboard asks Prometheus for. */
function queriesOf(dashboard: string): string[] {
  const queries: string[] = [];
  JSON.parse(dashboard, (key, value: unknown) => {
    if (key === "expr" && typeof value === "string") queries.push(value);
    return value;
  });
  return queries;
}

/** Resolves when each of them has been so once. */
async function untilNoneLeft(
  left: Set<string>,
  isSo: (one: string) => Promise<boolean>,
): Promise<void> {
  const lookAgain = async (): Promise<boolean> => {
    for (const one of left) if (await isSo(one)) left.delete(one);
    return left.size === 0;
  };
  await until(lookAgain, { describe: () => [...left].join("\n") });
}

/** Subscribers come, get events, come back with their position or with none that is one, and others ask for what is not there. */
function startLoad({ url }: LocalServer): AsyncDisposable {
  const ending = new AbortController();
  const run = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      await using reader = await TestSubscriber.live(url);
      await publish(url, { type: "x", data: 1 });
      await reader.recordsUpTo(1);
      const { lastEventId } = reader;
      await using _resumed = await TestSubscriber.live(url, "/events", { lastEventId });
      await using _reset = await TestSubscriber.live(url, "/events", { lastEventId: "nonsense" });
      await (await fetch(`${url}/nothing-is-here`)).text();
    }
  };
  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await running;
    },
  };
}
