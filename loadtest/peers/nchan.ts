import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, run } from "./cache.ts";
import { post, publishEvenly } from "./evenly.ts";
import type { InstalledPeer, Peer, RunningPeer } from "./peer.ts";
import { startProcess } from "./process.ts";

/** Debian's Nchan in Debian's nginx. Their versions are those of the release: a module fits one nginx only. */
export const nchan: Peer = { name: "Nchan", install };

const PACKAGE = "libnginx-mod-nchan";

async function install(): Promise<InstalledPeer> {
  const folder = await cacheFolder("nchan");
  const nginx = await run(["nginx", "-v"]);
  // Unpacked, not installed: that needs no root, and changes nothing of the machine's own nginx.
  await run(["apt-get", "download", "-q", PACKAGE], { cwd: folder });
  const [archive = ""] = [...new Bun.Glob(`${PACKAGE}_*.deb`).scanSync({ cwd: folder })].toSorted();
  await run(["dpkg-deb", "-x", archive, "."], { cwd: folder });
  const version = await run(["dpkg-deb", "-f", archive, "Version"], { cwd: folder });
  const module = join(folder, "usr/lib/nginx/modules/ngx_nchan_module.so");
  return {
    version: `${version}, ${nginx.replace(/^nginx version: /, "")}`,
    start: () => start(folder, module),
  };
}

async function start(folder: string, module: string): Promise<RunningPeer> {
  const work = join(folder, "run");
  await mkdir(work, { recursive: true });
  const config = join(work, "nginx.conf");
  const server = await startProcess(async (port) => {
    await Bun.write(config, configFor(port, work, module));
    return ["nginx", "-p", work, "-e", join(work, "error.log"), "-c", config];
  });
  const url = `http://127.0.0.1:${server.port}/publish`;
  return {
    ...server,
    path: "/subscribe",
    publish: (load) =>
      // A request has one message.
      publishEvenly(load, async (payloads) => {
        for (const payload of payloads) await post(url, payload, { "Content-Type": "text/plain" });
      }),
  };
}

function configFor(port: number, work: string, module: string): string {
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const paths = kinds.map((kind) => `  ${kind}_temp_path ${join(work, kind)};`).join("\n");
  return `
load_module ${module};
daemon off;
# One process, so that its CPU time is the server's.
master_process off;
pid ${join(work, "nginx.pid")};
worker_rlimit_nofile 20000;
events { worker_connections 20000; }
http {
${paths}
  access_log off;
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /publish { nchan_publisher http; nchan_channel_id events; nchan_message_timeout 10s; }
    location = /subscribe {
      nchan_subscriber eventsource;
      nchan_channel_id events;
      nchan_subscriber_first_message newest;
      nchan_subscriber_timeout 0;
    }
  }
}
`;
}
