import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { VARIABLES } from "../src/config-schema.ts";
import { OPERATIONS } from "../src/http/operations/operations.ts";
import { isQuick } from "./support/effort.ts";
import { blocksOf, runGuide } from "./support/guide.ts";
import { kafkaAvailable, sharedKafka, uniqueTopic } from "./support/kafka.ts";
import { markdownFiles, textOf } from "./support/markdown.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

setDefaultTimeout(60_000);

const ROOT = join(import.meta.dir, "..");

/** Pages whose commands are run: those with blocks that say so (test/support/guide.ts). */
const RUN = markdownFiles().filter((page) => blocksOf(textOf(page)).some(({ mark }) => mark));

/** Of them those that need no Kafka. */
const PAGES = RUN.filter((page) => page !== "README-KAFKA.md");

/** Pages that somebody follows: what they name must be there. */
const GUIDES = [...new Set([...RUN, "README.md", "docs/scaling.md", "docs/library.md"])];

test("pages that can be run are found", () => {
  expect(RUN).toContain("README-KAFKA.md");
  expect(PAGES).toContain("docs/security.md");
  expect(PAGES.filter((page) => page.startsWith("docs/moving/"))).toHaveLength(5);
});

/** What the pages use. With CI set nothing is skipped for the lack of it. */
const hasCommands =
  process.env["CI"] !== undefined ||
  ["bash", "curl", "openssl"].every((name) => Bun.which(name) !== null);

describe.skipIf(isQuick || !hasCommands)("the commands of a page do what it says", () => {
  test.skipIf(!kafkaAvailable())("README-KAFKA.md", async () => {
    const kafka = await sharedKafka();
    const own = { "127.0.0.1:9092": kafka.brokers.join(","), orders: uniqueTopic("orders") };
    expect(await runGuide("README-KAFKA.md", own)).toBeGreaterThan(8);
  });

  test.each(PAGES)("%s", async (page) => {
    expect(await runGuide(page)).toBeGreaterThan(3);
  });

  test.each([
    [
      "an output that is another one",
      '```sh run\necho "one two"\n```\n\n```text output\none … three\n```\n',
    ],
    ["a command that fails", "```sh run\nfalse\n```\n"],
    ["a server that does not start", "```sh server\nSSE_NONSENSE=1 bun run start\n```\n"],
  ])("%s is found", async (_, page) => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "page.md");
    writeFileSync(path, page);
    const outcome = await runGuide(path).catch((error: unknown) => String(error));
    expect(String(outcome)).toMatch(/page\.md:\d+/);
  });
});

/** Of the trouble that README-KAFKA.md speaks of, what the server itself says. */
const MESSAGES = [
  "Kafka cannot be reached: ",
  " has partitions whose leader does not answer",
  "does not exist",
  " cannot be made: ",
  "cannot be read, Kafka's code is ",
  " is read up to ",
  " waits for its leader",
  "The broker speaks no topic ids (KIP-516): Kafka 3.1 or later is needed",
  "Kafka lets nobody write to ",
  "The event is larger than Kafka takes",
  "a compacted topic wants a key",
  " is in use by another Headgate process",
  "publisher lost kafka",
];

describe("what a page names is there", () => {
  test("messages of README-KAFKA.md", () => {
    const sources = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: ROOT })].map(textOf).join("\n");
    const page = textOf("README-KAFKA.md");
    const isSaid = (message: string): boolean =>
      page.includes(message.trim()) && sources.includes(message);
    expect(MESSAGES.filter((message) => !isSaid(message))).toEqual([]);
  });

  const variables = new Set(
    Object.entries(VARIABLES).flatMap(([name, { aliases, isSecret }]) =>
      [name, ...aliases].concat(isSecret ? [`${name}_FILE`] : []),
    ),
  );

  test.each(GUIDES)("variables of %s", (page) => {
    // Of a name that is cut short (KAFKA_SASL_…) nothing is known.
    const named = textOf(page).matchAll(/\b(?:SSE|KAFKA|JWT|DATA|ALLOW|AGGREGATE)_[A-Z_]+\b(?!…)/g);
    const unknown = [...named].map(([name]) => name).filter((name) => !variables.has(name));
    expect([...new Set(unknown)]).toEqual([]);
  });

  const paths = [...new Set(Object.keys(OPERATIONS).map((key) => key.split(" ")[1] ?? ""))];
  const isServed = (path: string): boolean =>
    paths.some((known) =>
      new RegExp(`^${known.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path === "" ? "/" : path),
    );

  test.each(GUIDES)("endpoints of %s", (page) => {
    const text = textOf(page);
    const asked = text.matchAll(/https?:\/\/(?:127\.0\.0\.1|localhost):3\d{3}([\w/{}.-]*)/g);
    const named = text.matchAll(/\b(?:GET|POST) (\/[\w/{}-]*)/g);
    const unknown = [...asked, ...named]
      .map(([, path = ""]) => path)
      .filter((path) => !isServed(path));
    expect([...new Set(unknown)]).toEqual([]);
  });
});
