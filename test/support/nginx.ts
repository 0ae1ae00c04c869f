import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./feed.ts";
import { freePort } from "./kafka-node.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** A running nginx. Stopped, and its directory removed, by `await using`. */
interface Nginx extends AsyncDisposable {
  readonly url: string;
}

/** Whether tests can have nginx. With CI set it throws instead of saying no: nothing is skipped there. */
export function nginxAvailable(): boolean {
  const isAvailable = Bun.which("nginx") !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests through a proxy need the command nginx");
  }
  return isAvailable;
}

/** Starts it on a free port; `directives` are those of its one server, which must answer /health. */
export async function startNginx(directives: string): Promise<Nginx> {
  const directory = temporaryDirectory();
  const port = await freePort();
  mkdirSync(join(directory.path, "logs"));
  writeFileSync(
    join(directory.path, "nginx.conf"),
    configuration(directory.path, port, directives),
  );
  const nginx = Bun.spawn(["nginx", "-p", directory.path, "-c", "nginx.conf"], {
    stdout: "ignore",
    stderr: "pipe",
  });
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/health`).catch(() => undefined))?.status === 200);
  return {
    url,
    async [Symbol.asyncDispose]() {
      nginx.kill("SIGTERM");
      await nginx.exited;
      directory[Symbol.dispose]();
    },
  };
}

function configuration(path: string, port: number, directives: string): string {
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${path}/${name};`)
    .join("\n  ");
  return `daemon off;
master_process off;
pid nginx.pid;
error_log logs/error.log;
events {}
http {
  access_log off;
  ${paths}
  server {
    listen 127.0.0.1:${port};
    ${directives}
  }
}
`;
}
