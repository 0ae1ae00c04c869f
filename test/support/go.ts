import { isQuick } from "./effort.ts";

/** Where Go's own archive is unpacked to, which is in nobody's PATH at first. */
const USUAL_PLACE = "/usr/local/go/bin";

const findGo = (): string | null =>
  Bun.which("go", { PATH: `${process.env["PATH"] ?? ""}:${USUAL_PLACE}` });

/** Whether tests can compile Go. With CI set it throws instead of saying no: nothing is skipped there. */
export function goAvailable(): boolean {
  if (isQuick) return false;
  const isAvailable = findGo() !== null;
  if (!isAvailable && process.env["CI"] !== undefined) {
    throw new Error("Tests with Go clients need the command go, 1.22 or later");
  }
  return isAvailable;
}

/** Compiles all commands of a module into a directory. */
export async function buildGo(module: string, directory: string): Promise<void> {
  const child = Bun.spawn([findGo() ?? "go", "build", "-o", `${directory}/`, "./..."], {
    cwd: module,
    // The Go that is there, or a failure that says so: none is downloaded.
    env: { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "-mod=readonly" },
    stdout: "ignore",
    stderr: "pipe",
  });
  const [code, errors] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (code !== 0) throw new Error(`go build failed:\n${errors.slice(-2_000)}`);
}
