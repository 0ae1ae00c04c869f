import { readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Config, parseConfig } from "../../src/config.ts";
import { parseDockerfile } from "./dockerfile.ts";

/** The folder of the repository. */
export const REPOSITORY = join(import.meta.dir, "../..");

const KUBERNETES = "deploy/kubernetes";

export function readRepository(path: string): string {
  return readFileSync(join(REPOSITORY, path), "utf8");
}

/** Every file under `deploy/`, and those beside it that say how the server is run. */
export function deployFiles(): string[] {
  const all = readdirSync(join(REPOSITORY, "deploy"), { recursive: true, encoding: "utf8" });
  const below = all.map((name) => join("deploy", name));
  const files = below.filter((path) => statSync(join(REPOSITORY, path)).isFile());
  return ["Dockerfile", "docker-compose.yml", ".env.example", ...files];
}

/** What lies at the end of a path in a document; undefined where there is no such path. */
export function at(node: unknown, ...path: readonly (string | number)[]): unknown {
  let found = node;
  for (const key of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Readonly<Record<string | number, unknown>>)[key];
  }
  return found;
}

/** The same, of a list; empty where there is none. */
export function listAt(node: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(node, ...path);
  return Array.isArray(found) ? found : [];
}

/** Every value that a document has under this key, however deep. */
export function allOf(node: unknown, key: string): unknown[] {
  if (typeof node !== "object" || node === null) return [];
  const own = Object.entries(node).filter(([name]) => name === key);
  const below = Object.values(node).flatMap((each) => allOf(each, key));
  return own.map(([, value]): unknown => value).concat(below);
}

export function readYaml(path: string): unknown {
  return Bun.YAML.parse(readRepository(path));
}

/** A manifest, by its name without `.yaml`. */
export function manifest(name: string): unknown {
  return readYaml(join(KUBERNETES, `${name}.yaml`));
}

/** The instructions of this name in the stage that becomes the image. */
export function inDockerfile(name: string): string[] {
  const { instructions = [] } = parseDockerfile(readRepository("Dockerfile")).at(-1) ?? {};
  return instructions.filter((each) => each.name === name).map(({ text }) => text);
}

/** The application in PM2's file. */
export function pm2App(): unknown {
  const load = createRequire(import.meta.url);
  return at(load(join(REPOSITORY, "deploy/pm2/ecosystem.config.cjs")), "apps", 0);
}

/** The settings that each way of running gives the server, as the environment has them. */
export const SETTINGS: Readonly<Record<string, () => Record<string, string>>> = {
  Docker: () => pairsIn(inDockerfile("ENV").join(" "), /(\w+)=(\S+)/g),
  Compose: () => texts(at(readYaml("docker-compose.yml"), "services", "headgate", "environment")),
  Kubernetes: () => pairsIn(readRepository(join(KUBERNETES, "headgate.env")), /^(\w+)=(.*)$/gm),
  PM2: () => texts(at(pm2App(), "env")),
  systemd: () => {
    const files = ["headgate.service", "secrets.conf"];
    const text = files.map((name) => readRepository(join("deploy/systemd", name))).join("\n");
    return pairsIn(text, /^Environment=(\w+)=(.*)$/gm);
  },
};

/** What the server makes of them. @throws HeadgateError where it would not start. */
export function configOf(way: string): Config {
  return parseConfig(SETTINGS[way]?.() ?? {}, () => "a secret of thirty-two bytes at least");
}

function pairsIn(text: string, pattern: RegExp): Record<string, string> {
  const pairs = [...text.matchAll(pattern)].map(([, key = "", value = ""]) => [key, value]);
  return Object.fromEntries(pairs) as Record<string, string>;
}

function texts(node: unknown): Record<string, string> {
  const entries = Object.entries(node ?? {}).map(([key, value]) => [key, String(value)]);
  return Object.fromEntries(entries) as Record<string, string>;
}
