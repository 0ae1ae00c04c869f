import { join } from "node:path";
import { chromiumAvailable } from "../support/chromium.ts";
import { isQuick } from "../support/effort.ts";
import { firefoxAvailable } from "../support/firefox.ts";
import { buildGo, goAvailable } from "../support/go.ts";
import { ClientProgram, type ClientStarter, type Output } from "../support/other-client.ts";
import { startChromiumPages, startFirefoxPages } from "../support/page-client.ts";
import { pipAvailable, pipPackages } from "../support/pip-packages.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** A kind of client that people read our streams with. */
export interface ClientKind {
  readonly name: string;
  /** With CI set it throws where something is missing: nothing is skipped there. */
  readonly isAvailable: () => boolean;
  readonly start: () => Promise<ClientStarter>;
}

export const CLIENTS: readonly ClientKind[] = [
  { name: "EventSource in Chromium", isAvailable: chromiumAvailable, start: startChromiumPages },
  { name: "EventSource in Firefox", isAvailable: firefoxAvailable, start: startFirefoxPages },
  {
    name: "eventsource on Node",
    isAvailable: () => isThere("node"),
    start: async () => startPrograms(nodeProgram("eventsource.mjs")),
  },
  {
    name: "eventsource-client on Node",
    isAvailable: () => isThere("node"),
    start: async () => startPrograms(nodeProgram("eventsource-client.mjs")),
  },
  {
    name: "curl -N in a shell",
    isAvailable: () => isThere("curl") && isThere("bash"),
    start: async () => startPrograms({ command: ["bash", here("curl.sh")], output: "frames" }),
  },
  {
    name: "sseclient-py with requests",
    isAvailable: pipAvailable,
    start: async () => startPrograms(await pythonProgram("sseclient_requests.py")),
  },
  {
    name: "httpx-sse",
    isAvailable: pipAvailable,
    start: async () => startPrograms(await pythonProgram("httpx_sse_client.py")),
  },
  {
    name: "Go, tmaxmax/go-sse",
    isAvailable: goAvailable,
    start: async () => goStarter("go-sse"),
  },
  {
    name: "Go, r3labs/sse",
    isAvailable: goAvailable,
    start: async () => goStarter("r3labs"),
  },
];

/** How a program is run: it gets the URL and the names of events as its arguments. */
export interface Program {
  readonly command: readonly string[];
  readonly output?: Output;
  readonly env?: Readonly<Record<string, string>>;
}

function here(file: string): string {
  return join(import.meta.dir, file);
}

export function nodeProgram(file: string): Program {
  return { command: ["node", here(file)] };
}

const REQUIREMENTS = [
  "sseclient-py==1.9.0",
  "requests==2.34.2",
  "httpx-sse==0.4.3",
  "httpx==0.28.1",
];

export async function pythonProgram(file: string): Promise<Program> {
  const { pythonPath } = await pipPackages(REQUIREMENTS);
  return { command: ["python3", here(file)], env: { PYTHONPATH: pythonPath } };
}

/** The commands of the Go module, compiled into a directory that goes with them. */
export async function goPrograms(): Promise<AsyncDisposable & { command(name: string): string }> {
  const directory = temporaryDirectory();
  await buildGo(here("go"), directory.path);
  return {
    command: (name) => join(directory.path, name),
    [Symbol.asyncDispose]: async () => directory[Symbol.dispose](),
  };
}

async function goStarter(name: string): Promise<ClientStarter> {
  const programs = await goPrograms();
  const starter = startPrograms({ command: [programs.command(name)] });
  return { ...starter, [Symbol.asyncDispose]: () => programs[Symbol.asyncDispose]() };
}

function startPrograms({ command, output = "json", env = {} }: Program): ClientStarter {
  return {
    open: async (url, types) => new ClientProgram([...command, url, ...types], { output, env }),
    [Symbol.asyncDispose]: async () => {},
  };
}

export function isThere(command: string): boolean {
  if (isQuick) return false;
  const isFound = Bun.which(command) !== null;
  if (!isFound && process.env["CI"] !== undefined) {
    throw new Error(`Tests with other clients need the command ${command}`);
  }
  return isFound;
}
