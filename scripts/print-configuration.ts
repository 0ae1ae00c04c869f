/** Writes docs/configuration.md from the schema. */
import { configurationMarkdown } from "../src/config.ts";

await Bun.write(
  new URL("../docs/configuration.md", import.meta.url).pathname,
  configurationMarkdown(),
);
