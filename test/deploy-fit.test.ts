import { expect, test } from "bun:test";
import packageJson from "../package.json" with { type: "json" };
import { allOf, at, configOf, inDockerfile, listAt, manifest } from "./support/deploy-files.ts";
import { pm2App, readRepository, readYaml, SETTINGS } from "./support/deploy-files.ts";
import { startLocalServer } from "./support/server.ts";

/** What the server takes at most when SHUTDOWN_GRACE is over. */
const OVERTIME_S = 2;

const pod = at(manifest("deployment"), "spec", "template", "spec");
const container = at(pod, "containers", 0);
const composed = at(readYaml("docker-compose.yml"), "services", "headgate");
const scaler = at(manifest("autoscaling/autoscaler"), "spec");
const scraped = at(manifest("monitoring/pod-monitor"), "spec", "podMetricsEndpoints", 0);

test("whoever stops the server waits for longer than it may take", () => {
  const needs = (way: string): number => configOf(way).server.shutdownGraceMs / 1000 + OVERTIME_S;
  const seconds = (text: unknown): number => Number.parseFloat(String(text));
  expect(seconds(at(composed, "stop_grace_period"))).toBeGreaterThan(needs("Compose"));
  const unit = /^TimeoutStopSec=(\d+)s$/m.exec(readRepository("deploy/systemd/headgate.service"));
  expect(seconds(unit?.[1])).toBeGreaterThan(needs("systemd"));
  expect(seconds(at(pm2App(), "kill_timeout")) / 1000).toBeGreaterThan(needs("PM2"));
  const before = seconds(at(container, "lifecycle", "preStop", "sleep", "seconds"));
  expect(before).toBeGreaterThan(0);
  const waited = seconds(at(pod, "terminationGracePeriodSeconds"));
  expect(waited).toBeGreaterThan(before + needs("Kubernetes"));
});

test("ports fit together", () => {
  const { port } = configOf("Kubernetes").server;
  expect(inDockerfile("EXPOSE")).toEqual([String(port)]);
  expect(listAt(container, "ports")).toEqual([{ name: "http", containerPort: port }]);
  const named = [
    at(manifest("service"), "spec", "ports", 0, "targetPort"),
    at(manifest("network-policy"), "spec", "ingress", 0, "ports", 0, "port"),
    at(scraped, "port"),
    ...allOf(pod, "httpGet").map((get) => at(get, "port")),
  ];
  expect(new Set(named)).toEqual(new Set(["http"]));
  expect(at(composed, "ports", 0)).toBe(`127.0.0.1:3000:${configOf("Compose").server.port}`);
  // A container's own loopback is nobody's.
  for (const way of ["Docker", "Compose"]) expect(configOf(way).server.host).toBe("0.0.0.0");
});

test("what is probed and scraped answers, and what is scaled by is a metric", async () => {
  await using server = await startLocalServer();
  const probed = allOf(pod, "httpGet").map((get) => String(at(get, "path")));
  expect(probed.toSorted()).toEqual(["/livez", "/livez", "/readyz"]);
  expect(inDockerfile("HEALTHCHECK").join("")).toInclude("/livez");
  for (const path of [...probed, String(at(scraped, "path"))]) {
    expect((await fetch(`${server.url}${path}`)).status).toBe(200);
  }
  const name = at(scaler, "metrics", 0, "pods", "metric", "name");
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toInclude(`\n${String(name)} `);
  const rule = at(manifest("autoscaling/prometheus-adapter"), "rules", "custom", 0);
  expect(at(rule, "name", "as")).toBe(name);
  expect(at(rule, "seriesQuery")).toStartWith(`${String(name)}{`);
});

test("files, users and folders of the container are where the server is told", () => {
  const user = inDockerfile("USER").join("");
  const { runAsUser, runAsGroup, fsGroup } = Object(at(pod, "securityContext")) as Record<
    string,
    unknown
  >;
  expect(`${String(runAsUser)}:${String(runAsGroup)}`).toBe(user);
  expect(fsGroup).toBe(runAsGroup);
  const mounts = listAt(container, "volumeMounts").map((mount) => at(mount, "mountPath"));
  expect(inDockerfile("VOLUME")).toEqual([configOf("Docker").log.dataDir]);
  expect(mounts).toContain(configOf("Docker").log.dataDir);
  expect(listAt(composed, "volumes")).toEqual([`headgate-data:${configOf("Compose").log.dataDir}`]);
  const secrets = Object.keys(Object(at(manifest("secret.example"), "stringData")) as object);
  const files = secrets.flatMap((key) => mounts.map((mount) => `${String(mount)}/${key}`));
  expect(files).toContain(SETTINGS["Kubernetes"]?.()["JWT_SECRET_FILE"] ?? "");
});

test("limits leave the server room", () => {
  const { log, streams } = configOf("Kubernetes");
  const bytes = (size: unknown): number => Number.parseInt(String(size), 10) * 1024 ** 3;
  const size = bytes(at(pod, "volumes", 0, "emptyDir", "sizeLimit"));
  expect(size).toBeGreaterThanOrEqual(2 * log.maxBytes);
  const storage = (kind: string): number =>
    bytes(at(container, "resources", kind, "ephemeral-storage"));
  expect(storage("requests")).toBeGreaterThanOrEqual(size);
  expect(storage("limits")).toBeGreaterThan(size);
  const average = Number(at(scaler, "metrics", 0, "pods", "target", "averageValue"));
  const fewest = Number(at(scaler, "minReplicas"));
  // One of the fewest pods goes, and the others take its streams.
  expect((average * fewest) / (fewest - 1)).toBeLessThan(streams.maxConnections);
  const files = Number(at(composed, "ulimits", "nofile"));
  expect(files).toBeGreaterThan(configOf("Compose").streams.maxConnections + 256);
});

test("versions are this one's", () => {
  const tags = listAt(manifest("kustomization"), "images").map((image) => at(image, "newTag"));
  expect(tags).toEqual([packageJson.version]);
  const image = `FROM oven/bun:${packageJson.engines.bun.replace(">=", "")}-slim`;
  expect(readRepository("Dockerfile").match(/^FROM \S+/gm)).toEqual([image, image]);
});
