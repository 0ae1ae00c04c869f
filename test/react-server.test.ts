import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { reactPlugin, type ReactVersion } from "./support/react-version.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const VERSIONS: readonly ReactVersion[] = [19, 18];

describe.each(VERSIONS)("on a server, with React %d", (version) => {
  test("the hooks render without a window, say connecting, and open nothing", async () => {
    using directory = temporaryDirectory();
    const entry = join(directory.path, "server.tsx");
    await Bun.write(entry, PROGRAM);
    const { outputs } = await Bun.build({
      entrypoints: [entry],
      outdir: directory.path,
      naming: "bundle.js",
      target: "bun",
      plugins: [reactPlugin(version)],
    });
    const run = Bun.spawn([process.execPath, outputs[0]?.path ?? ""], { stderr: "pipe" });
    const [printed, complaints] = await Promise.all([
      new Response(run.stdout).text(),
      new Response(run.stderr).text(),
    ]);
    expect(complaints).toBe("");
    expect(JSON.parse(printed)).toEqual({
      version: expect.stringMatching(new RegExp(`^${version}[.]`)),
      html: "<p>connecting</p><p>connecting nothing</p><p>not connected</p><p>not connected, no data</p>",
      fetches: 0,
    });
  });
});

const HOOKS = JSON.stringify(join(import.meta.dir, "../src/react/react.ts"));

/** Prints what it has rendered. */
const PROGRAM = `
import { createElement, StrictMode, version } from "react";
import { renderToString } from "react-dom/server";
import { HeadgateProvider, useDashboardStream, useEvents, useEventSource, useHeadgate, useSSE } from ${HOOKS};

let fetches = 0;
globalThis.fetch = () => { fetches += 1; return new Promise(() => undefined); };

function Shared() {
  useEvents("*", () => undefined);
  return createElement("p", {}, useHeadgate().status);
}
function Feed() {
  const { status, lastMessage } = useSSE({ url: "/stream" });
  return createElement("p", {}, status + (lastMessage ? " something" : " nothing"));
}
function Notifications() {
  const { connected, addHandler } = useEventSource({ userId: "ann" });
  return createElement("p", {}, connected ? "connected" : "not connected");
}
function Dashboard() {
  const { connected, data } = useDashboardStream();
  return createElement("p", {}, (connected ? "connected" : "not connected") + (data ? "" : ", no data"));
}
const html = renderToString(
  createElement(StrictMode, {},
    createElement(HeadgateProvider, { topics: ["events"] },
      createElement(Shared), createElement(Feed), createElement(Notifications), createElement(Dashboard))));
setTimeout(() => console.log(JSON.stringify({ version, html, fetches })), 50);
`;
