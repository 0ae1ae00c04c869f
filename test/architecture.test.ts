import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, join, normalize } from "node:path";

const BASE = ["errors.ts", "logger.ts", "metrics.ts"];

/** The parts of `metrics.ts`. */
const METRICS = ["metrics-observed.ts", "metrics-process.ts"];

/** What each folder of src/, and each file at its top, may import beside itself. */
const MAY_IMPORT: Readonly<Record<string, Allowed>> = {
  "errors.ts": {},
  "logger.ts": {},
  "metrics-observed.ts": {},
  "metrics-process.ts": { all: ["metrics-observed.ts"] },
  "metrics.ts": { all: METRICS },
  "metrics-sum.ts": { types: ["metrics.ts"] },
  "bun-version.ts": {},
  auth: { all: BASE },
  "cidr.ts": {},
  "config-values.ts": { all: ["auth", "cidr.ts"] },
  "config-schema.ts": { all: ["config-values.ts"] },
  "config-names.ts": { all: ["config-schema.ts"] },
  "config-reader.ts": { all: ["config-names.ts", "config-schema.ts", "errors.ts"] },
  "config.ts": {
    types: ["auth", "cidr.ts"],
    all: ["config-reader.ts", "config-schema.ts", "errors.ts", "logger.ts"],
  },
  log: { all: BASE },
  kafka: { all: [...BASE, "log"] },
  aggregate: { all: [...BASE, "log", "sse"], types: ["hub"] },
  sse: { types: ["log"] },
  hub: { all: [...BASE, "log", "sse"] },
  publishing: { all: [...BASE, "log", "sse", "hub"] },
  notifications: { all: ["errors.ts", "sse", "publishing"] },
  client: { types: ["notifications"] },
  react: { all: ["client"] },
  dashboard: { all: [...BASE, "sse", "hub"], types: ["aggregate", "log"] },
  console: { all: ["client"], types: ["aggregate", "dashboard", "log"] },
  http: {
    all: [
      ...BASE,
      "cidr.ts",
      "auth",
      "log",
      "sse",
      "hub",
      "publishing",
      "notifications",
      "dashboard",
      "console",
    ],
    types: ["aggregate"],
  },
  sources: { all: [...BASE, "log", "kafka"], types: ["config.ts", "hub"] },
  serving: {
    all: [
      ...BASE,
      "metrics-sum.ts",
      "bun-version.ts",
      "config.ts",
      "auth",
      "log",
      "hub",
      "publishing",
      "dashboard",
      "http",
    ],
    types: ["sources"],
  },
  "options.ts": { types: ["config-schema.ts", "dashboard"] },
  "warnings.ts": { all: ["http"], types: ["config.ts"] },
  "watching.ts": {
    all: [...BASE, "dashboard"],
    types: ["aggregate", "config.ts", "http", "log", "serving", "sources"],
  },
  "running-server.ts": {
    all: [
      ...BASE,
      "aggregate",
      "log",
      "hub",
      "publishing",
      "http",
      "serving",
      "sources",
      "warnings.ts",
      "watching.ts",
    ],
    types: ["config.ts", "dashboard"],
  },
  "headgate.ts": {
    all: [...BASE, "config.ts", "options.ts", "publishing", "notifications", "running-server.ts"],
    types: ["hub", "log", "dashboard"],
  },
  "needs-bun.ts": {},
  "app.ts": {
    all: [...BASE, "bun-version.ts", "config.ts", "headgate.ts", "serving", "warnings.ts"],
  },
};

interface Allowed {
  readonly all?: readonly string[];
  /** Imported as types only. */
  readonly types?: readonly string[];
}

/** Modules that one folder, or one file, hides from all the others. */
const HIDDEN_MODULES: readonly { module: RegExp; only: RegExp }[] = [
  { module: /^(?:kafkajs|lz4js)/, only: /^src\/kafka\// },
  { module: /^bun:sqlite$/, only: /^src\/log\// },
  { module: /^bun:ffi$/, only: /^src\/http\/socket-options\.ts$/ },
  { module: /^prom-client$/, only: /^src\/metrics(?:-\w+)?\.ts$/ },
  { module: /^jose/, only: /^src\/auth\// },
  { module: /^ipaddr\.js$/, only: /^src\/(?:http\/client-address|cidr)\.ts$/ },
  { module: /^pino(?:-pretty)?$/, only: /^src\/logger\.ts$/ },
];

const MAX_LINES = 400;

const ROOT = join(import.meta.dir, "..");

/** `import … from "x"`, `import "x"`, `import("x")`, and what a worker is started with. */
const IMPORT =
  /^(?:import|export)\s+(type\s)?([^"';]*?)\s*from\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|new URL\("([^"]+)", import\.meta\.url\)/gm;

interface Import {
  /** A path from the project's root, or a module's name. */
  readonly target: string;
  readonly isType: boolean;
}

interface Source {
  /** From the project's root. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

const ALL = filesOf("{src,test,scripts,loadtest}/**/*.ts").map((path) => readSource(path));
/** What runs in production: not the tests that lie beside it. */
const PRODUCTION = ALL.filter(({ path }) => path.startsWith("src/") && !isTest(path));

describe("the folders of src/", () => {
  test("import in one direction: http → hub → log, kafka → log", () => {
    const wrong = PRODUCTION.flatMap(({ path, imports }) => {
      const from = partOf(path);
      const { all = [], types = [] } = MAY_IMPORT[from] ?? {};
      return imports
        .filter(({ target }) => target.startsWith("src/"))
        .filter(({ target, isType }) => {
          const to = partOf(target);
          return to !== from && !all.includes(to) && !(isType && types.includes(to));
        })
        .map(({ target }) => `${path} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  test("are all known to this test", () => {
    const parts = new Set(PRODUCTION.map(({ path }) => partOf(path)));
    expect([...parts].toSorted()).toEqual(Object.keys(MAY_IMPORT).toSorted());
  });

  test("have no import cycles at run time", () => {
    const graph = new Map(
      PRODUCTION.map(({ path, imports }) => [
        path,
        imports.filter(({ isType }) => !isType).map(({ target }) => target),
      ]),
    );
    expect([...graph.keys()].filter((path) => canReach(graph, path, path))).toEqual([]);
  });

  test("import nothing of the tests", () => {
    const outside = /^(?:test|scripts|loadtest)\/|\.test\.ts$/;
    const wrong = PRODUCTION.filter(({ imports }) =>
      imports.some((one) => outside.test(one.target)),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("sse/ knows of the log only what an entry is", () => {
    const entries = /^src\/log\/(?:stored-)?entry\.ts$/;
    const imported = PRODUCTION.filter(({ path }) => path.startsWith("src/sse/"))
      .flatMap(({ imports }) => imports)
      .filter(({ target }) => target.startsWith("src/log/"));
    expect(imported.filter(({ target }) => !entries.test(target))).toEqual([]);
  });

  test("log/position.ts is a leaf", () => {
    const position = PRODUCTION.find(({ path }) => path === "src/log/position.ts");
    expect(position?.imports).toEqual([]);
  });
});

describe("what one place hides", () => {
  test("the Kafka client, SQLite, native calls, metrics and logging have one home each", () => {
    const wrong = PRODUCTION.flatMap(({ path, imports }) =>
      HIDDEN_MODULES.filter(
        ({ module, only }) => !only.test(path) && imports.some((one) => module.test(one.target)),
      ).map(({ module }) => `${path} imports ${module.source}`),
    );
    expect(wrong).toEqual([]);
  });

  test("only app.ts reads the environment; it and a worker may exit", () => {
    const environment = /\b(?:process\.env|Bun\.env|import\.meta\.env)\b/;
    const exit = /\bprocess\.(?:exit|exitCode|abort|kill)\b/;
    const found = (what: RegExp): string[] =>
      PRODUCTION.filter(({ text }) => what.test(text)).map(({ path }) => path);
    expect(found(environment)).toEqual(["src/app.ts"]);
    // It runs before all else, on a Bun that may not know the rest.
    expect(found(exit)).toEqual(["src/app.ts", "src/bun-version.ts", "src/serving/worker.ts"]);
  });
});

describe("a file", () => {
  test("exports what is its own, by name", () => {
    const declarations = /\.d\.ts$/;
    const passedOn = /^export\s+(?:type\s+)?(?:\*|\{[^}]*\})\s*(?:as \w+\s*)?from\b/m;
    const anonymous = /^export default\b/m;
    // The package's entries gather what it makes public.
    const entries = new Set(["src/client/client.ts", "src/react/react.ts"]);
    const wrong = ALL.filter(({ path }) => !entries.has(path) && !declarations.test(path)).filter(
      ({ text }) => passedOn.test(text) || anonymous.test(text),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test(`has at most ${MAX_LINES} lines`, () => {
    const long = ALL.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
    expect(long.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
  });

  test("says in its name what it holds", () => {
    const vague = /(?:^|\/)(?:utils?|helpers?|common|misc|manager|index)(?:[./]|$)/;
    expect(ALL.map(({ path }) => path).filter((path) => vague.test(path))).toEqual([]);
  });

  test("of the project stands alone: it mentions nothing that lies outside of it", () => {
    const outside = /\.\.\/shared|\bissue #\d|\/work\//;
    const texts = filesOf("**/*.{ts,md,json,yml,c,h,conf,xml,properties}");
    const wrong = [...texts, "Dockerfile", ".ci/run"].filter((path) => {
      return outside.test(readFileSync(join(ROOT, path), "utf8"));
    });
    expect(wrong).toEqual([]);
  });
});

function filesOf(pattern: string): string[] {
  const foreign = /(?:^|\/)(?:node_modules|data|build|dist|\.git)\//;
  return [...new Bun.Glob(pattern).scanSync({ cwd: ROOT })]
    .filter((path) => !foreign.test(path))
    .toSorted();
}

function readSource(path: string): Source {
  const text = readFileSync(join(ROOT, path), "utf8");
  const imports = [...text.matchAll(IMPORT)].map((match): Import => {
    const [, type, names = "", ...targets] = match;
    const target = targets.find((one) => one !== undefined) ?? "";
    const isRelative = target.startsWith(".");
    return {
      target: isRelative ? normalize(join(path, "..", target)) : target,
      isType: type !== undefined || isAllTypes(names),
    };
  });
  return { path, text, imports };
}

/** Whether an import names types only: `{ type A, type B }`. */
function isAllTypes(names: string): boolean {
  const list = /^\{([^}]*)\}$/.exec(names.trim())?.[1]?.split(",") ?? [""];
  const given = list.map((name) => name.trim()).filter((name) => name !== "");
  return given.length > 0 && given.every((name) => name.startsWith("type "));
}

/** The folder of src/ that a file is in; a file at its top is a part of its own. */
function partOf(path: string): string {
  return path.split("/")[1] ?? "";
}

function isTest(path: string): boolean {
  return basename(path).endsWith(".test.ts");
}

/** Whether imports lead from a file to another, or back to itself. */
function canReach(
  graph: ReadonlyMap<string, readonly string[]>,
  from: string,
  to: string,
): boolean {
  const seen = new Set<string>();
  const open = [...(graph.get(from) ?? [])];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (path === to) return true;
    if (seen.has(path)) continue;
    seen.add(path);
    open.push(...(graph.get(path) ?? []));
  }
  return false;
}
