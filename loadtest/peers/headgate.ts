import packageJson from "../../package.json" with { type: "json" };
import { startServer } from "../processes.ts";
import { pin } from "./cpus.ts";
import { post, publishEvenly } from "./evenly.ts";
import type { Peer } from "./peer.ts";

/** Headgate itself, its log in memory: the others keep nothing on a disk either. */
export const headgate: Peer = {
  name: "Headgate",
  install: () =>
    Promise.resolve({
      version: `${packageJson.version}, Bun ${Bun.version}`,
      start: async () => {
        const server = await startServer({ DATA_DIR: ":memory:" });
        await pin(server.pid, "server");
        return {
          ...server,
          path: "/events",
          publish: (load) =>
            publishEvenly(load, (payloads) =>
              post(
                `http://127.0.0.1:${server.port}/events`,
                `[${payloads.map((payload) => `{"data":${payload}}`).join(",")}]`,
                { "Content-Type": "application/json" },
              ),
            ),
        };
      },
    }),
};
