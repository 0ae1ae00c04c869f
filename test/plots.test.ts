import { expect, test } from "bun:test";
import { ticksUpTo, formatNumber } from "../loadtest/charts.ts";
import { PLOTS } from "../loadtest/plots.ts";

const MACHINE = { cpu: "A(R) & B <64> CPU @ 2.80GHz", cores: 2 };

/** Of the form that each program writes, with what the plots do not read left out. */
const RESULTS: Readonly<Record<string, object>> = {
  peers: {
    machine: MACHINE,
    settings: { subscribers: 5_000, bytes: 100, mostDelayMs: 1_000 },
    rows: [
      { name: "Mercure", highest: { deliveriesPerSecond: 230_000 } },
      { name: "Headgate", highest: { deliveriesPerSecond: 4_970_000 } },
      { name: "Centrifugo", reason: "not available" },
    ],
  },
  fanout: {
    machine: MACHINE,
    settings: { subscribers: 5_000, bytes: 100, rate: 1_000 },
    summaries: { headgate: { cpuUsPerDelivery: 0.2023 }, floor: { cpuUsPerDelivery: 0.1921 } },
  },
  partitions: {
    machine: MACHINE,
    settings: { subscribers: 6_000, rate: 200, bytes: 100 },
    rows: [1, 16, 256].map((partitions) => ({ partitions, cpuUsPerDelivery: 6 + partitions / 64 })),
  },
  workers: {
    machine: MACHINE,
    settings: { subscribers: 6_000, rate: 200, bytes: 100 },
    rows: [1, 2].map((workers) => ({
      workers,
      rssMb: workers * 81.9,
      cores: workers * 0.97,
      deliveriesPerSecond: workers * 2_400_000,
    })),
  },
  compression: {
    machine: MACHINE,
    settings: { subscribers: 5_000, slowRate: 20, rate: 20_000 },
    rows: [20, 20_000].map((rate) => ({ rate, bytesRatio: 0.31, cpuRatio: 1.18 })),
  },
};

test("every plot is well-formed, and the same from the same result", async () => {
  expect(PLOTS.map(({ name }) => name).toSorted()).toEqual(Object.keys(RESULTS).toSorted());
  for (const { name, draw } of PLOTS) {
    const svg = draw(RESULTS[name]);
    expect(draw(structuredClone(RESULTS[name]))).toBe(svg);
    expect(openElements(svg)).toEqual([]);
    expect(svg).not.toMatch(/NaN|undefined|Infinity|&(?!amp;|lt;|gt;|quot;)/);
    expect(svg).toContain("A &amp; B &lt;64&gt;, 2 cores");
    expect(svg).toContain("prefers-color-scheme: dark");
  }
});

test("bars are as long as their values, the longest first, and who is missing is named", () => {
  const svg = drawn("peers");
  const lengths = [...svg.matchAll(/<path d="M([\d.]+),[\d.]+ H[\d.]+ Q([\d.]+),/g)].map(
    ([, from, to]) => Number(to) - Number(from),
  );
  expect(lengths.length).toBe(2);
  expect((lengths[1] ?? 0) / (lengths[0] ?? 0)).toBeCloseTo(230 / 4_970, 2);
  expect(svg.indexOf(">Headgate<")).toBeLessThan(svg.indexOf(">Mercure<"));
  expect(svg).toContain(">4.97 M<");
  expect(svg).toContain(">230 k<");
  expect(svg).toContain("not measured: Centrifugo");
});

test("curves are drawn from zero, over all steps, with a unit at each axis", () => {
  const svg = drawn("compression");
  expect(svg.match(/<polyline/g)?.length).toBe(2);
  expect(svg.match(/<circle/g)?.length).toBe(4);
  expect(svg.match(/>0<\/text>/g)?.length).toBe(2);
  expect(svg.match(/>events a second</g)?.length).toBe(2);
  expect(svg).toContain(">Bytes on the wire, ratio<");
  expect(svg).toContain(">20 k<");
});

test("a result of another form is refused", () => {
  const plot = PLOTS.find(({ name }) => name === "workers");
  const whole = RESULTS["workers"];
  expect(() => plot?.draw({ ...whole, rows: [{ workers: 1 }] })).toThrow("rssMb");
  expect(() => plot?.draw({ ...whole, rows: [] })).toThrow("rows");
});

test("an axis has a few round steps and room above the highest value", () => {
  expect(ticksUpTo(0.2023)).toEqual([0, 0.05, 0.1, 0.15, 0.2, 0.25]);
  expect(ticksUpTo(4_970_000)).toEqual([0, 2e6, 4e6, 6e6]);
  expect(ticksUpTo(0)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  for (let value = 0.001; value < 1e9; value *= 1.37) {
    const ticks = ticksUpTo(value);
    expect(ticks.at(-1)).toBeGreaterThan(value);
    expect(ticks.length).toBeGreaterThan(3);
    expect(ticks.length).toBeLessThan(8);
  }
});

test("numbers have three digits and, where they are long, a letter", () => {
  const shown = [0, 0.20236, 1, 81.97, 999.6, 4_096, 9_994, 9_996, 230_000, 999_600, 4_972_619];
  expect(shown.map(formatNumber)).toEqual([
    "0",
    "0.202",
    "1",
    "82",
    "1000",
    "4096",
    "9994",
    "10 k",
    "230 k",
    "1 M",
    "4.97 M",
  ]);
});

function drawn(name: string): string {
  return PLOTS.find((plot) => plot.name === name)?.draw(RESULTS[name]) ?? "";
}

/** What is still open at the end of a text of elements, or closed without being open. */
function openElements(xml: string): readonly string[] {
  const open: string[] = [];
  const element = /<(\/?)(\w+)((?: [\w-]+="[^"<&]*(?:&\w+;[^"<&]*)*")*)(\/?)>/g;
  for (const [, closes, name = "", , isEmpty] of xml.matchAll(element)) {
    if (closes === "/" && open.at(-1) === name) open.pop();
    else if (isEmpty !== "/") open.push(closes === "/" ? `/${name}` : name);
  }
  // Whatever is left between the elements has to be text.
  return [...open, ...(xml.replaceAll(element, "").match(/[<>]/g) ?? [])];
}
