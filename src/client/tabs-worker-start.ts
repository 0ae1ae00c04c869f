import type { Clock } from "./clock.ts";
import type { ConnectionSettings } from "./connect.ts";

/** The part of a `SharedWorker` that is used here. */
export interface SharedWorkerLike {
  readonly port: WorkerPort;
  addEventListener(type: "error", listener: () => void): void;
}

/** The part of a `MessagePort` that is used here. */
export interface WorkerPort {
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  start(): void;
  postMessage(message: unknown): void;
  close(): void;
}

/** What a worker has to know to be the host of a group. All of it can be cloned. */
export interface WorkerSettings extends Pick<
  ConnectionSettings,
  "withCredentials" | "backoff" | "maxReconnectAttempts" | "staleMs"
> {
  readonly group: string;
  readonly url: string;
}

/** How long a worker may take to be there: pages would stand for host themselves by then. */
const WORKER_MS = 2000;

/** Has a worker stand for host. Resolves when it does, or there is none. */
export function startWorker(
  make: () => SharedWorkerLike,
  settings: WorkerSettings,
  clock: Clock,
): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(WORKER_MS, resolve);
    const done = (): void => {
      cancel();
      resolve();
    };
    try {
      const worker = make();
      const { port } = worker;
      worker.addEventListener("error", done);
      port.addEventListener("message", () => {
        port.close();
        done();
      });
      port.start();
      port.postMessage(settings);
    } catch {
      done();
    }
  });
}
