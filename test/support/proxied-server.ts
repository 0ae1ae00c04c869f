import { ProxyClient } from "./proxy-client.ts";
import type { Proxy, ProxyChanges, RunningProxy } from "./proxy-process.ts";
import { type LocalServer, type Settings, startLocalServer } from "./server.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { HOST, makeCertificate } from "./tls.ts";

/** A proxy before a port, and a client of it. */
export interface Proxied extends AsyncDisposable {
  readonly proxy: RunningProxy;
  readonly client: ProxyClient;
}

/** A proxy before a server in this process. */
export interface ProxiedServer extends Proxied {
  readonly server: LocalServer;
}

type Changes = Partial<Omit<ProxyChanges, "certificate" | "upstream">>;

/** Starts a proxy before whatever listens, or will listen, on a port. */
export async function startProxy(
  proxy: Proxy,
  upstream: number,
  changes: Changes = {},
): Promise<Proxied> {
  await using cleanup = new AsyncDisposableStack();
  const directory = cleanup.use(temporaryDirectory());
  const certificate = await makeCertificate(directory.path);
  const running = cleanup.use(await proxy.start({ certificate, upstream, ...changes }));
  const client = new ProxyClient(running.port, certificate);
  const kept = cleanup.move();
  return { proxy: running, client, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** What the committed files ask of the server. */
export const BEHIND_PROXY: Settings = {
  ALLOWED_HOSTS: HOST,
  TRUSTED_PROXIES: "127.0.0.1/32",
};

/** No bytes but those that are asked for: what a proxy holds back, no heartbeat pushes through. */
const QUIET: Settings = { SSE_HEARTBEAT_INTERVAL: "60000" };

export async function startBehind(
  proxy: Proxy,
  settings: Settings = {},
  changes: Changes = {},
): Promise<ProxiedServer> {
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(await startLocalServer({ ...BEHIND_PROXY, ...QUIET, ...settings }));
  const proxied = cleanup.use(await startProxy(proxy, server.port, changes));
  const kept = cleanup.move();
  return { ...proxied, server, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
