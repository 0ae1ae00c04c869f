import { expect, test } from "bun:test";
import { VARIABLES } from "../src/config-schema.ts";
import { at, configOf, deployFiles, readRepository } from "./support/deploy-files.ts";
import { readYaml, SETTINGS } from "./support/deploy-files.ts";

/** All names that the server knows. */
const ours = new Set(Object.keys(VARIABLES));
for (const [name, { aliases, isSecret }] of Object.entries(VARIABLES)) {
  for (const alias of aliases) ours.add(alias);
  if (isSecret) ours.add(`${name}_FILE`);
}

/** Known to Bun and to libraries. */
const others = new Set(["NODE_ENV", "BUN_RUNTIME_TRANSPILER_CACHE_PATH"]);

test("every setting that a file of deploy/ names is one", () => {
  const broker = at(readYaml("docker-compose.yml"), "services", "kafka", "environment");
  const known = ours.union(new Set(Object.keys(broker ?? {})));
  const prefixes = new Set([...ours].map((name) => name.split("_")[0]));
  const named = deployFiles().flatMap((path) =>
    (readRepository(path).match(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g) ?? [])
      .filter((name) => prefixes.has(name.split("_")[0]))
      .map((name) => ({ path, name })),
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter(({ name }) => !known.has(name))).toEqual([]);
});

test.each(Object.keys(SETTINGS))("with the settings of %s the server starts", (way) => {
  const names = Object.keys(SETTINGS[way]?.() ?? {});
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => !ours.has(name) && !others.has(name))).toEqual([]);
  expect(configOf(way).server.shutdownGraceMs).toBeGreaterThan(0);
});
