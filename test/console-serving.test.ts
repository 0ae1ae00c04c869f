import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { load } from "../src/console/assets.ts";
import { ALL, bearer, startJwtServer } from "./support/callers.ts";
import { type Settings, startLocalServer } from "./support/server.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

/** As browsers send it. */
const HTML: Settings = {
  Accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
};

test("browsers get the console at /, and programs the list of endpoints", async () => {
  await using server = await startLocalServer();
  const page = await fetch(server.url, { headers: HTML });
  expect(page.headers.get("content-type")).toBe("text/html;charset=utf-8");
  expect(page.headers.get("vary")).toBe("Accept, Accept-Encoding");
  expect(await page.text()).toStartWith("<!doctype html>");
  for (const accept of ["*/*", "application/json", "application/json, text/html;q=0.5"]) {
    const index = await fetch(server.url, { headers: { Accept: accept } });
    expect(index.headers.get("vary")).toBe("Accept");
    expect(await index.json()).toMatchObject({ name: "headgate" });
  }
});

test("the page may load and ask nothing but its own server, and no site may frame it", async () => {
  await using server = await startLocalServer();
  const { headers } = await fetch(server.url, { headers: HTML });
  const policy = headers.get("content-security-policy") ?? "";
  expect(policy.split("; ")).toEqual([
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
  expect(headers.get("cache-control")).toBe("no-cache");
});

test("what the page loads lies beside it, under names that change with what is in them", async () => {
  await using server = await startLocalServer();
  const html = await (await fetch(server.url, { headers: HTML })).text();
  const urls = [...html.matchAll(/(?:src|href)="(?!data:|#)([^"]*)"/g)].map(([, url = ""]) => url);
  expect(urls.length).toBeGreaterThanOrEqual(2);
  const types: (string | null)[] = [];
  for (const url of urls) {
    expect(url).toMatch(/^\.\/console\/[\w-]+-[a-z0-9]{8}\.(?:js|css)$/);
    const { status, headers } = await fetch(new URL(url, `${server.url}/`));
    expect(status).toBe(200);
    expect(headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    types.push(headers.get("content-type"));
  }
  expect(new Set(types)).toEqual(
    new Set(["text/css;charset=utf-8", "text/javascript;charset=utf-8"]),
  );
  for (const file of ["nothing.js", "..%2fassets.ts", "index.html"]) {
    expect((await fetch(`${server.url}/console/${file}`)).status).toBe(404);
  }
});

test("the console travels as gzip where that is understood", async () => {
  await using server = await startLocalServer();
  const get = async (encoding: string): Promise<[encoding: string | null, text: string]> => {
    const headers = { ...HTML, "Accept-Encoding": encoding };
    const response = await fetch(server.url, { headers });
    return [response.headers.get("content-encoding"), await response.text()];
  };
  const [plain, text] = await get("identity");
  expect(plain).toBeNull();
  expect(await get("gzip, br")).toEqual(["gzip", text]);
});

test("with SSE_CONSOLE=false there is no console", async () => {
  await using server = await startLocalServer({ SSE_CONSOLE: "false" });
  const index = await fetch(server.url, { headers: HTML });
  expect(await index.json()).toMatchObject({ name: "headgate" });
  expect((await fetch(`${server.url}/console/session`)).status).toBe(404);
});

test("the page comes without a token, and says nothing; what it asks needs one", async () => {
  await using server = await startJwtServer({ KAFKA_TOPICS: "orders,payments" });
  expect((await fetch(server.url, { headers: HTML })).status).toBe(200);
  expect((await fetch(server.url)).status).toBe(401);
  expect((await fetch(`${server.url}/console/session`)).status).toBe(401);
});

test("a session says what its caller may do, and of nothing else", async () => {
  await using server = await startJwtServer({ KAFKA_TOPICS: "orders,payments,private" });
  const session = async (headers: Settings): Promise<unknown> =>
    (await fetch(`${server.url}/console/session`, { headers })).json();
  expect(await session(bearer({ subscribe: ["orders", "pay*"], publish: ["orders"] }))).toEqual({
    topics: ["orders", "payments"],
    publish: ["orders"],
    status: false,
    user: "u1",
    authentication: "jwt",
  });
  expect(await session(bearer(ALL))).toMatchObject({ status: true });
});

test("without tokens everybody may read, and who is not on this machine may not publish", async () => {
  await using server = await startLocalServer();
  const session = async (headers: Settings): Promise<unknown> =>
    (await fetch(`${server.url}/console/session`, { headers })).json();
  const here = {
    topics: ["events"],
    publish: ["events"],
    status: true,
    user: null,
    authentication: "none",
  };
  expect(await session({})).toEqual(here);
  expect(await session({ "X-Forwarded-For": "192.0.2.1" })).toEqual({ ...here, publish: [] });
});

test("a console that cannot be built is an error of its own, and is tried again", async () => {
  using directory = temporaryDirectory();
  const index = join(mkdtempSync(join(directory.path, "page-")), "index.html");
  const script = '<!doctype html><script type="module" src="./main.ts"></script>';
  await Bun.write(index, script);
  await Bun.write(join(index, "../main.ts"), "this is not TypeScript");
  expect(await load({ index }).catch(String)).toInclude("Bundle failed");
  await Bun.write(join(index, "../main.ts"), "console.log(1)");
  expect([...(await load({ index })).files.keys()]).toEqual([expect.stringMatching(/\.js$/)]);
});

test("a bundled server serves the console that was built with it", async () => {
  using directory = temporaryDirectory();
  const entry = join(directory.path, "entry.ts");
  const assets = join(import.meta.dir, "../src/console/assets.ts");
  await Bun.write(
    entry,
    `import { consoleAssets } from ${JSON.stringify(assets)};
     const { page, files } = await consoleAssets();
     console.log(JSON.stringify([new TextDecoder().decode(page.bytes), [...files.keys()]]));`,
  );
  const outdir = join(directory.path, "out");
  expect((await Bun.build({ entrypoints: [entry], target: "bun", outdir })).success).toBe(true);
  const { stdout } = Bun.spawnSync([process.execPath, join(outdir, "entry.js")], {
    cwd: directory.path,
  });
  const [html, names]: [string, string[]] = JSON.parse(stdout.toString());
  expect(names.length).toBeGreaterThanOrEqual(2);
  for (const name of names) expect(html).toInclude(`"./console/${name}"`);
});
