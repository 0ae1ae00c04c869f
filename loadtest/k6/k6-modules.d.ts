// What this folder uses of k6 and of its extension xk6-sse: both exist only inside of k6.

declare const __ENV: Readonly<Record<string, string | undefined>>;

declare module "k6" {
  type K6 = import("./stream-test.ts").K6;
  export const check: K6["check"];
  export const sleep: K6["sleep"];
}

declare module "k6/metrics" {
  type Metric = import("./stream-test.ts").Metric;
  export const Counter: new (name: string) => Metric;
  export const Rate: new (name: string) => Metric;
  /** `isTime`: in milliseconds. */
  export const Trend: new (name: string, isTime?: boolean) => Metric;
}

declare module "k6/x/sse" {
  const sse: import("./stream-test.ts").Sse;
  // oxlint-disable-next-line import/no-default-export -- so the extension has it
  export default sse;
}
