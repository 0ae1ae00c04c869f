import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = join(import.meta.dir, "../..");

/** Every Markdown file of the project, by its path from the root. */
export function markdownFiles(): string[] {
  const patterns = ["*.md", "{docs,deploy,loadtest,src,test,scripts}/**/*.md"];
  const found = patterns.flatMap((one) => Array.from(new Bun.Glob(one).scanSync({ cwd: ROOT })));
  return found.filter((path) => !path.includes("node_modules")).toSorted();
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** What is wrong with the relative links of a page, as `target: reason`. */
export function brokenLinks(page: string): string[] {
  return linksOf(textOf(page)).flatMap((link) => {
    const [path = "", anchor] = link.split("#", 2);
    const target = path === "" ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
    if (relative(ROOT, target).startsWith("..")) return [`${link}: is outside of the project`];
    if (!existsSync(target)) return [`${link}: is not there`];
    if (anchor === undefined || statSync(target).isDirectory()) return [];
    const isThere = anchorsOf(readFileSync(target, "utf8")).has(anchor);
    return isThere ? [] : [`${link}: has no such heading`];
  });
}

/** Targets of links and images that are neither addresses nor in code. */
function linksOf(markdown: string): string[] {
  const prose = withoutCode(markdown).replaceAll(/`[^`\n]*`/g, "code");
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** What GitHub makes of headings, as fragments of addresses. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutCode(markdown).matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = text.replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    let anchor = slug;
    for (let copy = 1; anchors.has(anchor); copy += 1) anchor = `${slug}-${copy}`;
    anchors.add(anchor);
  }
  return anchors;
}

function withoutCode(markdown: string): string {
  return markdown.replaceAll(/^(`{3,}).*?^\1$/gms, "");
}
