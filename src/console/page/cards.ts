import type { DashboardData, Sample } from "../../dashboard/dashboard-data.ts";
import { formatBytes, formatClock, formatCount, formatMs, formatRate } from "../model/figures.ts";
import { byId, el, setText } from "./dom.ts";
import { Plot } from "./plot.ts";

interface Figure {
  readonly label: string;
  readonly value: string;
  /** Of the line in the plot that it belongs to. */
  readonly colour?: string;
}

/** The four figures that whoever is on call looks at first, and how they came about. */
export class Cards {
  readonly #rates = byId("rates", HTMLElement);
  readonly #latency = byId("latency", HTMLElement);
  readonly #connections = byId("connections", HTMLElement);
  readonly #plots: { readonly rates: Plot; readonly latency: Plot; readonly connections: Plot };
  #data: DashboardData | undefined;
  /** The second that the pointer is at. */
  #pointed: Sample | undefined;

  constructor() {
    const onPoint = (index: number | undefined): void => {
      this.#pointed = index === undefined ? undefined : this.#data?.traffic.recent[index];
      this.#showFigures();
    };
    this.#plots = {
      rates: new Plot(byId("rates-plot", HTMLElement), {
        series: [
          { label: "arrived", colour: "--plot-1", tint: 16 },
          { label: "sent", colour: "--plot-2" },
        ],
        format: formatRate,
        onPoint,
      }),
      latency: new Plot(byId("latency-plot", HTMLElement), {
        series: [
          { label: "p50", colour: "--plot-1", tint: 16 },
          { label: "p99", colour: "--plot-3" },
        ],
        format: formatMs,
        onPoint,
      }),
      connections: new Plot(byId("connections-plot", HTMLElement), {
        series: [{ label: "open", colour: "--plot-1", tint: 16 }],
        format: formatCount,
        onPoint,
      }),
    };
  }

  update(data: DashboardData): void {
    this.#data = data;
    const { recent } = data.traffic;
    const times = recent.map(({ timestamp }) => timestamp / 1000);
    const values = (read: (sample: Sample) => number | null): (number | null)[] => recent.map(read);
    this.#showFigures();
    this.#plots.rates.update(
      [times, values(({ arrived }) => arrived), values(({ sent }) => sent)],
      `Events per second: ${this.#rates.textContent}`,
    );
    this.#plots.latency.update(
      [times, values(({ latencyP50 }) => latencyP50), values(({ latencyP99 }) => latencyP99)],
      `Delivery latency: ${this.#latency.textContent}`,
    );
    this.#plots.connections.update(
      [times, values(({ connections }) => connections)],
      `Open streams: ${this.#connections.textContent}`,
    );
    showHealth(data);
  }

  /** In the theme's colours. */
  redraw(): void {
    for (const plot of Object.values(this.#plots)) plot.redraw();
  }

  /** There is nothing to show, and this is why. */
  blank(why: string): void {
    this.#data = undefined;
    for (const element of [this.#rates, this.#latency, this.#connections]) setText(element, why);
    for (const plot of Object.values(this.#plots)) plot.update([[]], why);
    this.redraw();
    setText(byId("health-score", HTMLElement), "–");
    setText(byId("health-text", HTMLElement), why);
    byId("findings", HTMLElement).replaceChildren();
    byId("vitals", HTMLElement).replaceChildren();
  }

  /** The figures are no more those of now: nobody may take a dead server for a healthy one. */
  markStale(): void {
    const score = byId("health-score", HTMLElement);
    setText(score, "?");
    score.className = "bad";
    setText(byId("health-text", HTMLElement), "not known");
    const text = "The server does not answer; all figures are its last ones.";
    byId("findings", HTMLElement).replaceChildren(el("li", { class: "bad", text }));
  }

  #showFigures(): void {
    if (!this.#data) return;
    const { traffic } = this.#data;
    const { connections, perSecond, latencyMs } = traffic;
    const at = this.#pointed;
    const when = at ? [{ label: `at ${formatClock(at.timestamp).slice(0, 8)}`, value: "" }] : [];
    const ms = (value: number | null | undefined): string =>
      value === null || value === undefined ? "–" : formatMs(value);
    fill(this.#rates, [
      { label: "arrived", value: formatRate(at?.arrived ?? perSecond.arrived), colour: "--plot-1" },
      { label: "sent", value: formatRate(at?.sent ?? perSecond.sent), colour: "--plot-2" },
      ...when,
    ]);
    const latency = at ? { p50: at.latencyP50, p99: at.latencyP99 } : latencyMs;
    fill(this.#latency, [
      { label: "p50", value: ms(latency?.p50), colour: "--plot-1" },
      { label: "p99", value: ms(latency?.p99), colour: "--plot-3" },
      ...when,
    ]);
    const { live, behind, starting, dashboard } = connections.byState;
    const states: readonly (readonly [label: string, count: number])[] = [
      ["live", live],
      ["behind", behind],
      ["starting", starting],
      ["dashboard", dashboard],
    ];
    fill(this.#connections, [
      { label: "", value: formatCount(at?.connections ?? connections.open), colour: "--plot-1" },
      ...(at
        ? when
        : states
            .filter(([label, count]) => count > 0 || label === "live")
            .map(([label, count]) => ({ label: `${formatCount(count)} ${label}`, value: "" }))),
    ]);
  }
}

function fill(element: HTMLElement, figures: readonly Figure[]): void {
  element.replaceChildren(
    ...figures.map(({ label, value, colour }) => {
      const made = el("span");
      if (colour !== undefined) {
        const mark = el("span", { class: "mark" });
        mark.style.setProperty("--series", `var(${colour})`);
        made.append(mark);
      }
      if (value !== "") made.append(el("b", { text: value }), " ");
      made.append(label);
      return made;
    }),
  );
}

/** From here on a score is not good any more, and from here on bad. */
const GOOD_SCORE = 90;
const BAD_SCORE = 60;

function showHealth({ performance, traffic, memory }: DashboardData): void {
  const { healthScore, reasons, alerts, anomalies, subsystems } = performance;
  const score = byId("health-score", HTMLElement);
  const rounded = Math.round(healthScore);
  setText(score, String(rounded));
  score.className = rounded >= GOOD_SCORE ? "good" : rounded >= BAD_SCORE ? "warn" : "bad";
  const word = rounded >= GOOD_SCORE ? "good" : rounded >= BAD_SCORE ? "impaired" : "bad";
  setText(byId("health-text", HTMLElement), `of 100, ${word}`);
  const findings: [kind: string, text: string][] = [];
  for (const { points, message } of reasons) findings.push(["warn", `−${points}  ${message}`]);
  const told = new Set(reasons.map(({ message }) => message));
  for (const { message } of alerts) if (!told.has(message)) findings.push(["bad", message]);
  for (const { message } of anomalies) findings.push(["warn", `Unusual: ${message}`]);
  for (const [name, { status, message }] of Object.entries(subsystems)) {
    const isFine = status === "ok" || status === "off";
    if (!isFine) findings.push(["warn", `${name} is ${status}${message ? `: ${message}` : ""}`]);
  }
  const parts = Object.values(subsystems).filter(({ status }) => status !== "off").length;
  if (findings.length === 0) findings.push(["muted", `Nothing is wrong; all ${parts} parts work.`]);
  const shed = Object.values(traffic.connections.shed).reduce((sum, count) => sum + count, 0);
  if (shed > 0)
    findings.push(["muted", `${formatCount(shed)} streams turned away since the start`]);
  byId("findings", HTMLElement).replaceChildren(
    ...findings.map(([kind, text]) => el("li", { class: kind, text })),
  );
  const vitals = [
    `lag ${formatCount(traffic.lag.records)}`,
    `memory ${formatBytes(memory.rssBytes)}`,
    `log ${formatBytes(memory.logBytes)}, ${formatCount(memory.logRows)} records`,
  ];
  byId("vitals", HTMLElement).replaceChildren(...vitals.map((text) => el("span", { text })));
}
