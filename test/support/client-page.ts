import type { BunPlugin } from "bun";
import type { Site } from "./chromium.ts";

/** What the page of a site runs. */
export interface ClientSiteOptions {
  /** Path of a .ts or .tsx file: the page runs it as a module. */
  readonly entry: string;
  /** Further modules, such as a worker's, by the path at which the site has them: `/tabs-worker.js`. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** What the page's body holds before its script runs. */
  readonly body?: string;
  /** For the bundler: another version of a package, for example. */
  readonly plugins?: BunPlugin[];
  readonly host?: "127.0.0.1" | "localhost";
}

/**
 * Somebody's web site with the client in it, bundled as its users would do: the page is at `/`, whatever its query.
 * It is made before the server that it reads from, for SSE_CORS_ORIGIN names its origin.
 */
export async function startClientSite({
  entry,
  scripts = {},
  body = '<div id="root"></div>',
  plugins = [],
  host = "127.0.0.1",
}: ClientSiteOptions): Promise<Site> {
  const paths = Object.entries({ ...scripts, "/page.js": entry });
  const modules = new Map(
    await Promise.all(
      paths.map(async ([path, file]) => [path, await bundle(file, plugins)] as const),
    ),
  );
  // The icon is given, or the browser would ask for it.
  const html = `<!doctype html><html><head><meta charset="utf-8"><title>A page</title>
<link rel="icon" href="data:,"></head><body>${body}<script type="module" src="/page.js"></script></body></html>`;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => {
      const { pathname } = new URL(url);
      if (pathname === "/") return answer(html, "text/html");
      const script = modules.get(pathname);
      return script === undefined
        ? new Response("Nothing is here", { status: 404 })
        : answer(script, "text/javascript");
    },
  });
  return {
    origin: `http://${host}:${server.port}`,
    [Symbol.dispose]: () => void server.stop(true),
  };
}

/** One module of all that a file imports, as text. */
async function bundle(file: string, plugins: BunPlugin[]): Promise<string> {
  const { outputs } = await Bun.build({
    entrypoints: [file],
    target: "browser",
    define: { "process.env.NODE_ENV": '"production"' },
    plugins,
  });
  const [script] = outputs;
  if (!script) throw new Error(`Nothing was made of ${file}`);
  return script.text();
}

function answer(text: string, type: string): Response {
  return new Response(text, { headers: { "Content-Type": `${type};charset=utf-8` } });
}
