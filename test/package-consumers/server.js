// The server, from the package: it serves its console, from two workers, and what it publishes is streamed.
import { createHeadgate } from "headgate";
import { connect } from "headgate/client";

const headgate = createHeadgate({
  port: 0,
  workers: 2,
  dataDir: "./data",
  shutdownGraceMs: 1000,
  logLevel: "silent",
});
await headgate.start();
await headgate.ready;
const page = await fetch(headgate.url, { headers: { Accept: "text/html" } });
console.log(page.status, (await page.text()).slice(0, 15));
await headgate.broadcast({ hello: "world" }, { type: "greeting" });
for await (const event of connect({ url: headgate.url, since: "earliest" })) {
  console.log(event.type, JSON.stringify(event.data));
  break;
}
await headgate.stop();
