import { join } from "node:path";
import { SignJWT } from "jose";
import { cacheFolder, run } from "./cache.ts";
import { post, publishEvenly } from "./evenly.ts";
import type { InstalledPeer, Peer, RunningPeer } from "./peer.ts";
import { startProcess } from "./process.ts";

/** Mercure's library in the smallest program around it; `mercure/go.mod` has its version. */
export const mercure: Peer = { name: "Mercure", install };

const SOURCES = join(import.meta.dir, "mercure");
const PATH = "/.well-known/mercure";
/** Both are this measurement's own, on loopback. */
const TOPIC = "events";
const KEY = "a key for the publisher of a load test, and for nothing else";

async function install(): Promise<InstalledPeer> {
  const program = join(await cacheFolder("mercure"), "hub");
  await run(["go", "build", "-buildvcs=false", "-o", program, "."], { cwd: SOURCES });
  const modules = await Bun.file(join(SOURCES, "go.mod")).text();
  const [, version = "unknown"] = /github\.com\/dunglas\/mercure (\S+)/.exec(modules) ?? [];
  const [, go = ""] = /go(\d[\d.]*)/.exec(await run(["go", "version"])) ?? [];
  return { version: `${version}, Go ${go}`, start: () => start(program) };
}

async function start(program: string): Promise<RunningPeer> {
  const server = await startProcess((port) => [program, String(port), KEY]);
  const token = await new SignJWT({ mercure: { publish: ["*"] } })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(KEY));
  const headers = {
    Authorization: `Bearer ${token}`,
    "Content-Type": "application/x-www-form-urlencoded",
  };
  const url = `http://127.0.0.1:${server.port}${PATH}`;
  return {
    ...server,
    path: `${PATH}?topic=${TOPIC}`,
    publish: (load) =>
      // A request has one update.
      publishEvenly(load, async (payloads) => {
        for (const data of payloads) {
          await post(url, new URLSearchParams({ topic: TOPIC, data }).toString(), headers);
        }
      }),
  };
}
