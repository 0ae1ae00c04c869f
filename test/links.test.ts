import { expect, test } from "bun:test";
import { brokenLinks, markdownFiles } from "./support/markdown.ts";

test.each(markdownFiles())("every relative link of %s leads to what is there", (page) => {
  expect(brokenLinks(page)).toEqual([]);
});
