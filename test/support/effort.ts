/**
 * `bun run test:quick`: what answers in half a minute or little more on two cores. It leaves out what needs
 * Kafka, a browser or a compiler, and repeats less of what is repeated.
 */
export const isQuick = process.env["QUICK"] === "1";

/** How often to repeat what is repeated so many times when there is time: a tenth when quick. */
export function runs(count: number): number {
  return isQuick ? Math.ceil(count / 10) : count;
}
