import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { publint } from "publint";
import packageJson from "../package.json" with { type: "json" };
import {
  installPackage,
  npmAvailable,
  packPackage,
  type PackedPackage,
  run,
} from "./support/package.ts";
import { startLocalServer } from "./support/server.ts";

// It is compiled and packed first, and what it needs is fetched where it is not there already.
setDefaultTimeout(120_000);

const ROOT = join(import.meta.dir, "..");

/** What an import adds to a page at most: minified and gzip, in bytes, with all that it needs but React. */
const BUDGETS: Readonly<Record<string, number>> = {
  'import { connect } from "headgate/client"; use(connect);': 6 * 1024,
  'import { connectShared } from "headgate/client"; use(connectShared);': 9 * 1024,
  'import { createProducer } from "headgate/client"; use(createProducer);': 3 * 1024,
  'import { useSSE } from "headgate/react"; use(useSSE);': 9 * 1024,
};

/** What pages import. */
const ENTRIES = Object.keys(packageJson.exports)
  .filter((path) => path !== "." && path !== "./package.json")
  .map((path) => path.replace(".", "headgate"));

/** What they load as a script instead. */
const WORKER = "headgate/client/worker";

/** All that a page may load. */
const FOR_PAGES = /(?:^|\/)node_modules\/(?:headgate\/dist\/(?:client|react)|eventsource-parser)\//;

const CONSUMERS = join(import.meta.dir, "package-consumers");

/** What the consumers print of the event that they publish. */
const GREETING = 'greeting {"hello":"world"}\n';

describe.skipIf(!npmAvailable())("the npm package", () => {
  let packed: PackedPackage;

  beforeAll(async () => {
    packed = await packPackage();
  });

  afterAll(() => packed[Symbol.dispose]());

  describe("as it is packed", () => {
    beforeAll(() => {
      const parser = "node_modules/eventsource-parser";
      symlinkSync(join(ROOT, parser), join(packed.project, parser));
    });

    const textOf = (file: string): string => readFileSync(join(packed.directory, file), "utf8");

    test("has nothing that publint or arethetypeswrong would change", async () => {
      const { messages } = await publint({ pkgDir: packed.directory, pack: false, strict: true });
      expect(messages).toEqual([]);
      const attw = join(ROOT, "node_modules/@arethetypeswrong/cli/dist/index.js");
      // Rejects where it finds anything.
      await run(["bun", attw, packed.tarball, "--profile", "esm-only"], packed.project);
    });

    test("holds what is imported, what Bun runs, and the papers; no tests, and nothing of this machine", () => {
      const papers = ["CHANGELOG.md", "LICENSE", "README.md", "package.json"];
      const others = packed.files.filter((file) => !/^(?:dist|src)\//.test(file));
      expect(others).toEqual(papers);
      expect(packed.files.filter((file) => /\.test\.|tsconfig/.test(file))).toEqual([]);
      const machine = [ROOT, dirname(packed.project), process.execPath];
      const telling = packed.files.filter((file) => {
        const text = textOf(file);
        return machine.some((path) => text.includes(path));
      });
      expect(telling).toEqual([]);
    });

    test("maps its JavaScript and its types to sources that it holds", () => {
      const maps = packed.files.filter((file) => file.endsWith(".map"));
      expect(maps.length).toBeGreaterThan(10);
      const missing = maps.flatMap((map) => {
        // The cast holds: ECMA-426.
        const { sources } = JSON.parse(textOf(map)) as { sources: string[] };
        return sources
          .map((source) => normalize(join(dirname(map), source)))
          .filter((source) => !packed.files.includes(source));
      });
      expect(missing).toEqual([]);
    });

    const modules = ENTRIES.filter((entry) => entry !== WORKER);
    test.each(modules)("%s does nothing by being imported", async (entry) => {
      const { text } = await bundle(`import "${entry}";`);
      expect(text).toBe("");
    });

    test("has the worker in one piece: a worker finds no packages by their names", async () => {
      expect(ENTRIES).toContain(WORKER);
      const script = textOf("dist/client/tabs-worker.js");
      expect(script).not.toMatch(/^\s*(?:import|export)\b|\bimport\(/m);
      // What it was bundled with may be passed on with these words.
      expect(script).toInclude("Permission is hereby granted");
    });

    test.each(ENTRIES)("%s needs nothing but what every browser has", async (entry) => {
      const { text, inputs } = await bundle(`import * as all from "${entry}"; use(all);`);
      const others = inputs.filter((input) => !FOR_PAGES.test(input));
      expect(others).toEqual([expect.stringContaining("/page-")]);
      expect(text).not.toMatch(/\b(?:node|bun):|\bBun\.|\bprocess\.|\bBuffer\b|\brequire\(/);
    });

    test.each(Object.entries(BUDGETS))(
      "%s adds at most %d bytes to a page",
      async (code, budget) => {
        const { text } = await bundle(code);
        const { byteLength } = Bun.gzipSync(text, { level: 9 });
        process.stdout.write(`${code} ${byteLength} bytes\n`);
        expect(byteLength).toBeLessThanOrEqual(budget);
        // A budget that is twice as much as it takes holds nobody.
        expect(byteLength).toBeGreaterThan(budget / 2);
      },
    );
  });

  describe("installed", () => {
    let project: Disposable & { readonly path: string };

    beforeAll(async () => {
      const how = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"];
      project = await installPackage(packed, ["npm", "install", ...how]);
      cpSync(CONSUMERS, project.path, { recursive: true });
      const types = join(project.path, "node_modules/@types");
      mkdirSync(types, { recursive: true });
      symlinkSync(join(ROOT, "node_modules/@types/react"), join(types, "react"));
    });

    afterAll(() => project[Symbol.dispose]());

    test.each([
      ["Node", ["node"]],
      ["Bun", ["bun"]],
      ["Deno", ["npx", "--yes", "--prefer-offline", "deno@2.9.6", "run", "--allow-net"]],
    ])("publishes from %s, and reads", async (_name, command) => {
      await using server = await startLocalServer();
      const output = await run([...command, "client.js", server.url], project.path);
      expect(output).toBe(GREETING);
    });

    test("says in Node that the server is for Bun", async () => {
      const error = await run(["node", "server.js"], project.path).catch(String);
      expect(error).toInclude("Headgate's server runs on Bun");
      expect(error).toInclude("headgate/client");
    });

    test("runs the server where Bun has installed it, with its console and its workers", async () => {
      using bunProject = await installPackage(packed, ["bun", "add"]);
      cpSync(CONSUMERS, bunProject.path, { recursive: true });
      const output = await run(["bun", "server.js"], bunProject.path);
      expect(output).toBe(`200 <!doctype html>\n${GREETING}`);
    });

    test.each([
      ["NodeNext", "NodeNext"],
      ["ESNext", "bundler"],
    ])("has types for module %s, resolved as %s", async (module, moduleResolution) => {
      const options = { strict: true, noEmit: true, target: "ES2022", module, moduleResolution };
      // Nothing that the client's own users need not have.
      const client = { ...options, lib: ["ES2022", "DOM", "DOM.AsyncIterable"], types: [] };
      await check(client, "client-types.ts");
      const typeRoots = [join(ROOT, "node_modules/@types")];
      await check(client, "react-types.ts");
      const server = { ...options, lib: ["ESNext"], types: ["bun"], typeRoots, skipLibCheck: true };
      await check(server, "server-types.ts");
    });

    async function check(compilerOptions: object, file: string): Promise<void> {
      const config = join(project.path, "tsconfig.json");
      await Bun.write(config, JSON.stringify({ compilerOptions, files: [file] }));
      await run(["bun", join(ROOT, "node_modules/typescript/bin/tsc")], project.path);
    }
  });

  /** What a bundler makes of a page's code, and which files it took for that. */
  async function bundle(code: string): Promise<{ text: string; inputs: string[] }> {
    const entry = join(packed.project, `page-${Bun.hash(code)}.js`);
    await Bun.write(entry, code);
    const { outputs, metafile } = await Bun.build({
      entrypoints: [entry],
      target: "browser",
      minify: true,
      metafile: true,
      external: ["react"],
    });
    const text = (await outputs[0]?.text()) ?? "";
    return { text: text.trim(), inputs: Object.keys(metafile?.inputs ?? {}) };
  }
});
