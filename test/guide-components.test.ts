import { expect, setDefaultTimeout, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isQuick } from "./support/effort.ts";
import { blocksOf } from "./support/guide.ts";
import { markdownFiles, textOf } from "./support/markdown.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

setDefaultTimeout(60_000);

const ROOT = join(import.meta.dir, "..");

/** As a page of somebody is built; of the package, the sources. */
const FOR_COMPONENTS = {
  compilerOptions: {
    strict: true,
    jsx: "react-jsx",
    module: "Preserve",
    target: "ESNext",
    lib: ["ESNext", "DOM"],
    types: [],
    allowImportingTsExtensions: true,
    noEmit: true,
    skipLibCheck: true,
    paths: {
      "headgate/client": ["./src/client/client.ts"],
      "headgate/react": ["./src/react/react.ts"],
    },
  },
  include: ["component *"],
};

test.skipIf(isQuick)("the components of the pages fit the types of the package", async () => {
  using directory = temporaryDirectory();
  for (const name of ["node_modules", "src", "package.json"]) {
    symlinkSync(join(ROOT, name), join(directory.path, name));
  }
  let count = 0;
  for (const page of markdownFiles()) {
    for (const { language, line, text } of blocksOf(textOf(page))) {
      if (language !== "tsx") continue;
      count += 1;
      // What tsc complains of then names the page, and the line of the block.
      const name = `component ${page.replaceAll("/", " ")} ${line}.tsx`;
      writeFileSync(join(directory.path, name), `export {};\n${text}`);
    }
  }
  expect(count).toBeGreaterThan(3);
  writeFileSync(join(directory.path, "tsconfig.json"), JSON.stringify(FOR_COMPONENTS));
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  const child = Bun.spawn([tsc, "-p", directory.path], { stdin: "ignore", stdout: "pipe" });
  expect(await new Response(child.stdout).text()).toBe("");
  expect(await child.exited).toBe(0);
});
