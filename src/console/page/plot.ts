import uPlot from "uplot";
import { el } from "./dom.ts";

export interface PlotSeries {
  readonly label: string;
  /** Name of a custom property. */
  readonly colour: string;
  /** How much of its colour the area below it has, in percent. */
  readonly tint?: number;
}

export interface PlotOptions {
  readonly series: readonly PlotSeries[];
  /** What an axis says of a value. */
  readonly format: (value: number) => string;
  /** The moment that the pointer is at; undefined: none, so the newest figures are meant. */
  readonly onPoint: (index: number | undefined) => void;
}

/** Seconds since 1970, then the values of each series. */
export type PlotData = readonly [readonly number[], ...(readonly (readonly (number | null)[])[])];

/** What the server remembers. It is shown from the first second on, so that nothing jumps. */
const SPAN_S = 120;

/** A plot of the last minutes that moves with them, and follows its element's size and the theme. */
export class Plot {
  readonly #element: HTMLElement;
  readonly #options: PlotOptions;
  #data: PlotData = [[]];
  #plot: uPlot | undefined;

  constructor(element: HTMLElement, options: PlotOptions) {
    this.#element = element;
    this.#options = options;
    element.setAttribute("role", "img");
    new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = element;
      if (width > 0) this.#plot?.setSize({ width, height });
    }).observe(element);
  }

  /** `description` is what is read to those who do not see it. */
  update(data: PlotData, description: string): void {
    this.#data = data;
    this.#element.setAttribute("aria-label", description);
    if (!this.#plot) this.redraw();
    this.#plot?.setData(aligned(data));
  }

  /** Draws it anew, in the theme's colours. */
  redraw(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#element.replaceChildren();
    const [times] = this.#data;
    const { clientWidth: width, clientHeight: height } = this.#element;
    if (times.length === 0 || width === 0) return;
    const holder = el("div");
    this.#element.append(holder);
    this.#plot = new uPlot(this.#settings(width, height), aligned(this.#data), holder);
  }

  #settings(width: number, height: number): uPlot.Options {
    const { series, format, onPoint } = this.#options;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => resolve(style.getPropertyValue(name), this.#element);
    const axis = {
      stroke: colour("--muted"),
      font: `10px ${style.getPropertyValue("--sans")}`,
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
    };
    return {
      width,
      height,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false }, sync: { key: "headgate" } },
      // A flat line at nothing is drawn at the foot, not in the middle.
      scales: {
        x: { range: (_, __, newest) => [newest - SPAN_S, newest] },
        y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] },
      },
      axes: [
        { ...axis, size: 22, gap: 6, space: 70, values: (_, ticks) => ticks.map(clock) },
        { ...axis, size: 46, gap: 4, space: 26, values: (_, ticks) => ticks.map(format) },
      ],
      series: [
        {},
        ...series.map(({ label, colour: name, tint = 0 }) => ({
          label,
          stroke: colour(name),
          width: 1.5,
          points: { show: false },
          fill: `color-mix(in srgb, ${colour(name)} ${tint}%, transparent)`,
        })),
      ],
      hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)] },
    };
  }
}

/** A custom property's colour as a canvas knows it: `light-dark()` is for style sheets. */
function resolve(value: string, within: HTMLElement): string {
  const probe = el("span");
  probe.style.color = value;
  within.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function clock(seconds: number): string {
  const at = new Date(seconds * 1000);
  const pad = (part: number): string => String(part).padStart(2, "0");
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

// uPlot does not change what it is given, but does not say so in its types.
function aligned(data: PlotData): uPlot.AlignedData {
  return data as unknown as uPlot.AlignedData;
}
