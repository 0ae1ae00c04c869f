/**
 * The example, and a Headgate for it: `bun examples/react/serve.ts`. With HEADGATE_URL the page reads
 * from that one, whose SSE_CORS_ORIGIN has to name the page's origin.
 */
// In your application: "headgate".
import { createHeadgate } from "../../src/headgate.ts";
import page from "./index.html";

const site = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env["PORT"] ?? 3100),
  routes: { "/": page },
});
const origin = `http://127.0.0.1:${site.port}`;
const given = process.env["HEADGATE_URL"];
const headgate =
  given === undefined
    ? createHeadgate({ port: 0, dataDir: ":memory:", corsOrigin: origin, logLevel: "warn" })
    : undefined;
await headgate?.start();
const server = given ?? headgate?.url ?? "";
console.log(`Open ${origin}/?server=${encodeURIComponent(server)}`);

process.once("SIGINT", () => {
  void site.stop(true);
  void headgate?.stop().then(() => process.exit());
  if (!headgate) process.exit();
});
