import { join } from "node:path";
import { SignJWT } from "jose";
import { cacheFolder, run } from "./cache.ts";
import { post, publishEvenly } from "./evenly.ts";
import type { InstalledPeer, Peer, RunningPeer } from "./peer.ts";
import { startProcess } from "./process.ts";

/** Centrifugo, read over its one-way SSE, its engine in memory. */
export const centrifugo: Peer = { name: "Centrifugo", install };

const VERSION = "v6.5.1";
/** All three are this measurement's own, on loopback. */
const CHANNEL = "events";
const API_KEY = "a key for the api of a load test";
const TOKEN_KEY = "a key for the tokens of a load test, and for nothing else";

async function install(): Promise<InstalledPeer> {
  const folder = await cacheFolder("centrifugo");
  await run(["go", "install", `github.com/centrifugal/centrifugo/v6@${VERSION}`], {
    env: { GOBIN: folder },
  });
  return { version: VERSION, start: () => start(folder) };
}

async function start(folder: string): Promise<RunningPeer> {
  const config = join(folder, "config.json");
  const server = await startProcess(async (port) => {
    await Bun.write(config, JSON.stringify(configFor(port)));
    return [join(folder, "v6"), "--config", config];
  });
  // A claim subscribes whoever connects: a one-way stream has nothing else to say what it wants.
  const token = await new SignJWT({ sub: "", channels: [CHANNEL] })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(TOKEN_KEY));
  const connect = encodeURIComponent(JSON.stringify({ token }));
  const url = `http://127.0.0.1:${server.port}/api/batch`;
  const headers = { "Content-Type": "application/json", "X-API-Key": API_KEY };
  return {
    ...server,
    path: `/connection/uni_sse?cf_connect=${connect}`,
    publish: (load) =>
      publishEvenly(load, (payloads) => {
        const commands = payloads.map(
          (payload) => `{"publish":{"channel":"${CHANNEL}","data":${payload}}}`,
        );
        return post(url, `{"commands":[${commands.join(",")}]}`, headers);
      }),
  };
}

function configFor(port: number): object {
  return {
    http_server: { address: "127.0.0.1", port: String(port) },
    http_api: { key: API_KEY },
    client: { token: { hmac_secret_key: TOKEN_KEY } },
    uni_sse: { enabled: true },
    log: { level: "none" },
  };
}
