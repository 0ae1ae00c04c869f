import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, run } from "./cache.ts";
import { post } from "./evenly.ts";
import type { InstalledPeer, Peer, RunningPeer } from "./peer.ts";
import { startProcess } from "./process.ts";

/** better-sse on Node's own HTTP server; events are published in the server's process, and cost it that too. */
export const betterSse: Peer = { name: "better-sse", install };

const VERSION = "0.16.1";

async function install(): Promise<InstalledPeer> {
  const folder = await cacheFolder("better-sse");
  const options = ["--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"];
  await run(["npm", "install", "--prefix", folder, ...options, `better-sse@${VERSION}`]);
  // Beside its node_modules, where Node looks for what it imports.
  const server = join(folder, "server.mjs");
  await copyFile(join(import.meta.dir, "better-sse/server.mjs"), server);
  const node = await run(["node", "--version"]);
  return { version: `${VERSION}, Node ${node}`, start: () => start(server) };
}

async function start(script: string): Promise<RunningPeer> {
  const server = await startProcess((port) => ["node", script, String(port)]);
  const url = `http://127.0.0.1:${server.port}`;
  return {
    ...server,
    path: "/events",
    publish: ({ rate, bytes }) => {
      const started = post(`${url}/start?rate=${rate}&bytes=${bytes}`, "", {});
      return {
        stop: async () => {
          await started;
          await post(`${url}/stop`, "", {});
        },
      };
    },
  };
}
