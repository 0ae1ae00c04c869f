/** The package's entry for a SharedWorker: it is the host of groups of tabs, so that none of them need be. */
import { systemClock } from "./clock.ts";
import { connectionSource } from "./connect.ts";
import { browserTabs } from "./tabs-browser.ts";
import { standForHost } from "./tabs-host.ts";
import type { WorkerPort, WorkerSettings } from "./tabs-worker-start.ts";

/** The part of a SharedWorker's globals that is used here. */
interface WorkerGlobals {
  addEventListener(
    type: "connect",
    listener: (event: { readonly ports: readonly WorkerPort[] }) => void,
  ): void;
}

/** Those that it stands for, or is the host of. */
const groups = new Set<string>();
const tabs = browserTabs();

async function serve({ group, url, ...settings }: WorkerSettings): Promise<void> {
  if (groups.has(group) || !tabs) return;
  groups.add(group);
  const makeSource = connectionSource(settings);
  const setup = { url, types: undefined, clock: systemClock };
  await standForHost(
    {
      name: group,
      tabs,
      clock: systemClock,
      connect: (listener) => makeSource({ ...setup, ...listener }),
    },
    new AbortController().signal,
  );
  groups.delete(group);
}

// The cast holds where this runs.
(globalThis as unknown as WorkerGlobals).addEventListener("connect", ({ ports: [port] }) => {
  port?.addEventListener("message", ({ data }) => {
    // Who posts here is this client.
    void serve(data as WorkerSettings);
    // Whoever hears it is to stand behind this one. Its request may be slower than the message: once
    // what is asked after it has been answered, it has arrived.
    const answer = (): void => port.postMessage("standing");
    void tabs?.locks.query().then(answer, answer);
  });
  port?.start();
});
