// A Node server whose streams are better-sse's, with its publisher in the same process, as its users have it.
//
//   node server.mjs <port>
//
// POST /start?rate=<events a second>&bytes=<of padding> begins to broadcast, POST /stop ends it.
import { createServer } from "node:http";
import { createChannel, createSession } from "better-sse";

const PACE_MS = 5;

const channel = createChannel();
// As it is by default, but for the space after `data:`, which the standard leaves to the server and our reader expects.
const serializer = (data) => ` ${JSON.stringify(data)}`;
let timer;

createServer((request, response) => {
  const url = new URL(request.url, "http://127.0.0.1");
  if (request.method === "GET" && url.pathname === "/events") {
    createSession(request, response, { serializer }).then((session) => channel.register(session));
    return;
  }
  if (request.method === "POST" && url.pathname === "/start") {
    start(Number(url.searchParams.get("rate")), Number(url.searchParams.get("bytes")));
  }
  if (request.method === "POST" && url.pathname === "/stop") clearInterval(timer);
  response.end();
}).listen(Number(process.argv[2]), "127.0.0.1");

/** Every few milliseconds broadcasts what is due, with the time at which it was. */
function start(rate, bytes) {
  const p = "x".repeat(bytes);
  const startMs = performance.now();
  const startUs = Date.now() * 1_000;
  let tick = 0;
  let made = 0;
  timer = setInterval(() => {
    for (; startMs + tick * PACE_MS <= performance.now(); tick += 1) {
      const t = Math.round(startUs + tick * PACE_MS * 1_000);
      const due = Math.floor(((tick + 1) * PACE_MS * rate) / 1_000);
      for (; made < due; made += 1) channel.broadcast({ t, n: made, p });
    }
  }, PACE_MS);
}
