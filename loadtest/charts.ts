import { bar, document, line, MARGIN, path, text, WIDTH, widthOf } from "./svg.ts";
import type { Heading, Point } from "./svg.ts";

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Drawn to be seen first. */
  readonly isOurs: boolean;
}

/** One curve with axes of its own. */
export interface Panel {
  /** What goes upwards, with its unit. */
  readonly label: string;
  readonly points: readonly { readonly x: string; readonly y: number }[];
  /** A dashed line across. */
  readonly reference?: { readonly y: number; readonly label: string };
}

const BAR_HEIGHT = 22;
const BAR_STEP = 36;
const PANEL_HEIGHT = 170;

/** Bars from the left, one below the other, each with its value; `axis` names what is measured, and its unit. */
export function barChart(heading: Heading, axis: string, bars: readonly Bar[]): string {
  const left = MARGIN + Math.max(...bars.map(({ label }) => widthOf(label))) + 12;
  const ticks = ticksUpTo(Math.max(...bars.map(({ value }) => value)));
  const most = ticks.at(-1) ?? 1;
  // A value stands to the right of its bar.
  const right = WIDTH - MARGIN - 56;
  const xOf = (value: number): number => left + ((right - left) * value) / most;
  return document(heading, (top) => {
    const bottom = top + bars.length * BAR_STEP;
    const body = [
      ...ticks.flatMap((tick) => [
        line(
          { x: xOf(tick), y: top - 6 },
          { x: xOf(tick), y: bottom },
          tick === 0 ? "axis" : "grid",
        ),
        text(formatNumber(tick), { x: xOf(tick), y: bottom + 18, ink: "soft", anchor: "middle" }),
      ]),
      ...bars.flatMap(({ label, value, isOurs }, index) => {
        const y = top + index * BAR_STEP + 4;
        const middle = y + BAR_HEIGHT / 2 + 4;
        const width = xOf(value) - left;
        const className = isOurs ? "strong" : undefined;
        const style = { y: middle, ink: "text", ...(className && { className }) } as const;
        return [
          text(label, { x: left - 10, anchor: "end", ...style }),
          bar({ x: left, y, width, height: BAR_HEIGHT, ink: isOurs ? "ours" : "other" }),
          text(formatNumber(value), { x: left + width + 8, ...style }),
        ];
      }),
      text(axis, { x: (left + right) / 2, y: bottom + 40, ink: "soft", anchor: "middle" }),
    ];
    return { body, bottom: bottom + 40 };
  });
}

/** Curves side by side over the same steps, each from zero on a scale of its own. */
export function panelChart(heading: Heading, xAxis: string, panels: readonly Panel[]): string {
  const width = (WIDTH - MARGIN * 2) / panels.length;
  return document(heading, (top) => ({
    body: panels.flatMap((panel, index) =>
      drawPanel(panel, xAxis, { x: MARGIN + index * width, y: top }, width),
    ),
    bottom: top + PANEL_HEIGHT + 60,
  }));
}

function drawPanel(panel: Panel, xAxis: string, corner: Point, width: number): string[] {
  const { label, points, reference } = panel;
  const bottom = corner.y + 22 + PANEL_HEIGHT;
  const ticks = ticksUpTo(Math.max(reference?.y ?? 0, ...points.map(({ y }) => y)));
  const most = ticks.at(-1) ?? 1;
  const left = corner.x + Math.max(...ticks.map((tick) => widthOf(formatNumber(tick)))) + 10;
  const right = corner.x + width - 24;
  const yOf = (value: number): number => bottom - (PANEL_HEIGHT * value) / most;
  const step = (right - left) / points.length;
  const places = points.map((point, index): Point => ({
    x: left + step * (index + 0.5),
    y: yOf(point.y),
  }));
  // Where there is no room for all, the first and the last say it.
  const isRoomy = points.every((point) => widthOf(formatNumber(point.y)) <= step + 4);
  return [
    text(label, { ...corner, ink: "text", className: "strong" }),
    ...ticks.flatMap((tick) => [
      line({ x: left, y: yOf(tick) }, { x: right, y: yOf(tick) }, tick === 0 ? "axis" : "grid"),
      text(formatNumber(tick), { x: left - 8, y: yOf(tick) + 4, ink: "soft", anchor: "end" }),
    ]),
    ...(reference === undefined
      ? []
      : [
          line({ x: left, y: yOf(reference.y) }, { x: right, y: yOf(reference.y) }, "soft"),
          // Beside the panel's name: near its line it would meet the curve.
          text(`┄ ${reference.label}`, { x: right, y: corner.y, ink: "soft", anchor: "end" }),
        ]),
    path(places, "ours"),
    ...points.flatMap((point, index) => {
      const at = places[index] ?? { x: left, y: bottom };
      const name = text(point.x, { x: at.x, y: bottom + 18, ink: "soft", anchor: "middle" });
      if (!isRoomy && index > 0 && index < points.length - 1) return [name];
      const place = { x: at.x, y: at.y - 10, ink: "text", anchor: "middle" } as const;
      return [name, text(formatNumber(point.y), { ...place, className: "value" })];
    }),
    text(xAxis, { x: (left + right) / 2, y: bottom + 38, ink: "soft", anchor: "middle" }),
  ];
}

/** 0 and up to six even, round steps, the last of them well above `most`: a value is written above its place. */
export function ticksUpTo(most: number): readonly number[] {
  const target = most > 0 ? most * 1.12 : 1;
  const rough = target / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? power;
  // From the index, so that 0.1 three times is 0.3.
  return Array.from({ length: Math.ceil(target / step) + 1 }, (_, index) =>
    Number((index * step).toPrecision(6)),
  );
}

/** Three digits: `0.235`, `81.9`, `120 k`, `4.97 M`. */
export function formatNumber(value: number): string {
  if (value >= 999_500) return `${digits(value / 1e6)} M`;
  if (value >= 9_995) return `${digits(value / 1e3)} k`;
  return value >= 1_000 ? String(Math.round(value)) : digits(value);
}

function digits(value: number): string {
  return String(Number(value.toPrecision(3)));
}
