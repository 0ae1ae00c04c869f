import { basename, join } from "node:path";
import bundle from "./page/index.html";

/** One file of the console, as it is served. */
export interface Asset {
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same, a third as long. */
  readonly gzip: Uint8Array<ArrayBuffer>;
}

/** The live console, ready to be served. */
export interface ConsoleAssets {
  /** The document; what it loads lies at `./console/<name>`, so that any path prefix of a proxy will do. */
  readonly page: Asset;
  /** By name. Names hold a hash of what is in them: they can be kept for ever. */
  readonly files: ReadonlyMap<string, Asset>;
}

let loaded: Promise<ConsoleAssets> | undefined;

/**
 * The console, built when it is first asked for: it takes some 50 ms, once. Where the server itself
 * was bundled (`bun build`), it was built then. Rejects where that fails, and tries again next time.
 */
export function consoleAssets(): Promise<ConsoleAssets> {
  loaded ??= load(bundle).catch((error: unknown) => {
    loaded = undefined;
    throw error;
  });
  return loaded;
}

/** A file that came out of a build. */
interface Built {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The same of a given page, and not kept. @throws Error where it cannot be built. */
export async function load(page: Bun.HTMLBundle): Promise<ConsoleAssets> {
  const built = page.files ? await readBuilt(page.files) : await build(page.index);
  const document = built.find(({ name }) => name.endsWith(".html"));
  if (!document) throw new Error("The build of the console has no page");
  const others = built.filter((file) => file !== document);
  const html = new TextDecoder().decode(document.bytes);
  return {
    page: toAsset(document.name, new TextEncoder().encode(relocate(html, others))),
    files: new Map(others.map(({ name, bytes }) => [name, toAsset(name, bytes)])),
  };
}

async function build(entry: string): Promise<Built[]> {
  const { outputs } = await Bun.build({
    entrypoints: [entry],
    target: "browser",
    minify: true,
    naming: { entry: "[name]-[hash].[ext]", chunk: "[name]-[hash].[ext]" },
  });
  return Promise.all(
    outputs.map(async (output) => ({
      name: basename(output.path),
      bytes: new Uint8Array(await output.arrayBuffer()),
    })),
  );
}

function readBuilt(files: NonNullable<Bun.HTMLBundle["files"]>): Promise<Built[]> {
  return Promise.all(
    files.map(async ({ path }) => ({
      name: basename(path),
      // Within a compiled program paths are absolute, beside a bundle they are relative to it.
      bytes: await Bun.file(path.startsWith("/") ? path : join(import.meta.dir, path)).bytes(),
    })),
  );
}

/** Points the document at where its files are served, wherever the build thought they would be. */
function relocate(html: string, files: readonly Built[]): string {
  const names = new Set(files.map(({ name }) => name));
  return html.replaceAll(/\b(src|href)="([^"]*)"/g, (whole, attribute: string, url: string) =>
    names.has(basename(url)) ? `${attribute}="./console/${basename(url)}"` : whole,
  );
}

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html;charset=utf-8",
  js: "text/javascript;charset=utf-8",
  css: "text/css;charset=utf-8",
};

function toAsset(name: string, bytes: Uint8Array<ArrayBuffer>): Asset {
  // By name: of a page and its script the build says the same loader, and of a page that it is a script.
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
  return { type, bytes, gzip: Bun.gzipSync(bytes) };
}
