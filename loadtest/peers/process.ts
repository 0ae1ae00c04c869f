import { freePort } from "../../test/support/kafka-node.ts";
import { cpusOf } from "./cpus.ts";
import type { RunningPeer } from "./peer.ts";

/** A server process on a CPU of its own. */
export type ServerProcess = Omit<RunningPeer, "path" | "publish">;

const START_DEADLINE_MS = 15_000;

/** Starts what listens on the port that its command is made for; resolves when something answers there. */
export async function startProcess(
  commandFor: (port: number) => readonly string[] | Promise<readonly string[]>,
): Promise<ServerProcess> {
  const port = await freePort();
  const command = await commandFor(port);
  const child = Bun.spawn([...cpusOf("server"), ...command], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  const server: ServerProcess = {
    pid: child.pid,
    port,
    // Nothing of it is kept, and what is under way after an overload would take its time.
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    if (Date.now() > deadline) {
      await server[Symbol.asyncDispose]();
      throw new Error(`it did not answer within ${START_DEADLINE_MS} ms`);
    }
    await Bun.sleep(50);
  }
  return server;
}

async function answers(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/`);
    await answer.arrayBuffer();
    return true;
  } catch {
    // Not listening yet.
    return false;
  }
}
