import { constants, setPriority } from "node:os";
import { readNumbers } from "./options.ts";
import { quantilesOf } from "./quantiles.ts";

/**
 * Asks a server of this machine for /livez every few milliseconds over one connection, until SIGTERM, and
 * prints how long the answers took. An answer comes in a turn of the server's event loop, so that none of
 * them stood still for longer than the longest answer and the interval together.
 *
 *   bun loadtest/probe.ts --port 3000 [--interval-ms 2] [--seconds 600]
 */
async function main(): Promise<void> {
  const { port, intervalMs, seconds } = readNumbers({
    port: { absent: 3_000, least: 1, most: 65_535 },
    intervalMs: { absent: 2, least: 1, most: 1_000 },
    seconds: { absent: 600, least: 1, most: 3_600 },
  });
  try {
    // An answer must not wait here for a core behind the server that it asks.
    setPriority(constants.priority.PRIORITY_HIGHEST);
  } catch {
    // Only root may ask for that: what the answers wait here counts as theirs.
  }
  const request = `GET /livez HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;
  const answersMs: number[] = [];
  const longestBySecondMs: number[] = [];
  let askedMs = 0;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  process.once("SIGTERM", () => end());
  setTimeout(() => end(), seconds * 1_000);
  const startMs = performance.now();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      // The answer is small: it comes in one piece.
      data: () => {
        const tookMs = performance.now() - askedMs;
        const second = Math.floor((askedMs - startMs) / 1_000);
        answersMs.push(tookMs);
        for (let at = longestBySecondMs.length; at <= second; at += 1) longestBySecondMs.push(0);
        longestBySecondMs[second] = Math.max(longestBySecondMs[second] ?? 0, tookMs);
        setTimeout(ask, Math.max(0, intervalMs - tookMs));
      },
      close: () => end(),
    },
  });
  const ask = (): void => {
    askedMs = performance.now();
    socket.write(request);
  };
  ask();
  await ended;
  // What has not been answered at all was under way for so long.
  answersMs.push(performance.now() - askedMs);
  const result = {
    answers: answersMs.length,
    answerMs: quantilesOf(answersMs),
    longestBySecondMs: longestBySecondMs.map((ms) => Math.round(ms * 10) / 10),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(0);
}

await main();
