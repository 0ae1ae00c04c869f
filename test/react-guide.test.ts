import { expect, test } from "bun:test";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blocksOf } from "./support/guide.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const ROOT = join(import.meta.dir, "..");
const ENTRY = join(ROOT, "src/react/react.ts");
const GUIDE = readFileSync(join(ROOT, "docs/react.md"), "utf8");

test("what the guide shows compiles as it stands", async () => {
  using directory = temporaryDirectory();
  symlinkSync(join(ROOT, "node_modules"), join(directory.path, "node_modules"));
  const blocks = blocksOf(GUIDE).filter(({ language }) => language === "tsx");
  expect(blocks.length).toBeGreaterThan(5);
  for (const { line, text } of blocks) writeFileSync(join(directory.path, `${line}.tsx`), text);
  const config = {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions: {
      jsx: "react-jsx",
      lib: ["ESNext", "DOM", "DOM.Iterable"],
      types: ["react"],
      paths: {
        "headgate/react": [ENTRY],
        "headgate/client": [join(ROOT, "src/client/client.ts")],
      },
    },
    include: ["*.tsx"],
    exclude: [],
  };
  writeFileSync(join(directory.path, "tsconfig.json"), JSON.stringify(config));
  const tsc = Bun.spawn([join(ROOT, "node_modules/.bin/tsc"), "-p", directory.path], {
    stdout: "pipe",
  });
  expect(await new Response(tsc.stdout).text()).toBe("");
  expect(await tsc.exited).toBe(0);
});

const PIECES = [
  ["all of it", "*"],
  [
    "`HeadgateProvider`, `useHeadgate`, `useEvents`",
    "{ HeadgateProvider, useHeadgate, useEvents }",
  ],
  ["`useSSE`", "{ useSSE }"],
  ["`useEventSource`", "{ useEventSource }"],
  ["`useDashboardStream`", "{ useDashboardStream }"],
] as const;

test.each(PIECES)("the guide says what weighs how much: %s", async (name, names) => {
  using directory = temporaryDirectory();
  const entry = join(directory.path, "entry.ts");
  writeFileSync(entry, `export ${names} from ${JSON.stringify(ENTRY)};`);
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    target: "browser",
    minify: true,
    external: ["react"],
    plugins: [
      {
        name: "without the client",
        setup: (build) => {
          build.onResolve({ filter: /\/client\// }, ({ path }) => ({ path, external: true }));
        },
      },
    ],
  });
  const bytes = Bun.gzipSync((await outputs[0]?.text()) ?? "", { level: 9 }).byteLength;
  const [, said = ""] =
    new RegExp(`^[|] ${RegExp.escape(name)} [|] ([0-9.]+) KB [|]$`, "m").exec(GUIDE) ?? [];
  expect(bytes / 1000).toBeWithin(Number(said) - 0.3, Number(said) + 0.1);
});
