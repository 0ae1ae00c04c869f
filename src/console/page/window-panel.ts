import type { DashboardAggregation, DashboardWindow } from "../../dashboard/dashboard-data.ts";
import type { FieldFigures, WindowName } from "../../aggregate/aggregation.ts";
import { formatCount, formatRate } from "../model/figures.ts";
import { byId, el } from "./dom.ts";

const NAMES: readonly WindowName[] = ["10s", "1m", "5m", "1h"];

const WINDOW_MS: Readonly<Record<WindowName, number>> = {
  "10s": 10_000,
  "1m": 60_000,
  "5m": 300_000,
  "1h": 3_600_000,
};

/** Lines of each list; the rest is summed up. */
const SHOWN_NAMES = 8;

const NUMBERS = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });

/** What has come in the time just past, by topic, type and field. */
export class WindowPanel {
  #window: WindowName = "1m";
  #aggregation: DashboardAggregation | null = null;

  constructor() {
    const choices = NAMES.map((name) => {
      const input = el("input", { attributes: { type: "radio", name: "window", value: name } });
      input.checked = name === this.#window;
      input.addEventListener("change", () => {
        this.#window = name;
        this.#show();
      });
      return el("label", {}, input, el("span", { text: name }));
    });
    byId("windows", HTMLElement).replaceChildren(...choices);
  }

  update(aggregation: DashboardAggregation | null): void {
    this.#aggregation = aggregation;
    this.#show();
  }

  #show(): void {
    const panel = byId("window", HTMLElement);
    if (!this.#aggregation) {
      panel.replaceChildren(el("p", { class: "note", text: "Nothing has been counted yet." }));
      return;
    }
    const { windows, since, updatedAt } = this.#aggregation;
    const figures = windows[this.#window];
    const isFull = since <= updatedAt - WINDOW_MS[this.#window];
    panel.replaceChildren(
      el(
        "p",
        { class: "figure" },
        el("span", {}, el("b", { text: formatCount(figures.count) }), " events"),
        el("span", {}, el("b", { text: formatRate(figures.ratePerSecond) }), " /s"),
        ...(isFull ? [] : [el("span", { text: "not full yet" })]),
      ),
      bars("By topic", figures.byTopic, figures),
      bars(figures.truncated ? "By type (at least)" : "By type", figures.byType, figures),
      ...fieldsOf(figures),
    );
  }
}

function bars(
  title: string,
  counts: Readonly<Record<string, number>>,
  { count: total, ratePerSecond }: DashboardWindow,
): HTMLElement {
  const sorted = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .toSorted(([, a], [, b]) => b - a);
  const shown = sorted.slice(0, SHOWN_NAMES);
  const rest = sorted.slice(SHOWN_NAMES);
  const most = shown[0]?.[1] ?? 1;
  const list = el(
    "div",
    { class: "bars" },
    el("span", { class: "head", text: title }),
    el("span", { class: "head number", text: "count" }),
    el("span", { class: "head number", text: "/s" }),
  );
  const line = (name: string, count: number): void => {
    const fill = el("span", { class: "fill" });
    fill.style.transform = `scaleX(${Math.min(1, count / most)})`;
    const rate = total === 0 ? 0 : (ratePerSecond * count) / total;
    list.append(
      el("span", { class: "name", attributes: { title: name } }, fill, name),
      el("span", { class: "number", text: formatCount(count) }),
      el("span", { class: "number muted", text: formatRate(rate) }),
    );
  };
  for (const [name, count] of shown) line(name, count);
  if (rest.length > 0) {
    line(
      `${rest.length} more`,
      rest.reduce((sum, [, count]) => sum + count, 0),
    );
  }
  if (sorted.length === 0) list.append(el("span", { class: "name muted", text: "none" }));
  return list;
}

const COLUMNS: readonly (keyof FieldFigures)[] = ["count", "mean", "p50", "p95", "p99", "max"];

function fieldsOf({ fields }: DashboardWindow): HTMLElement[] {
  const names = Object.keys(fields);
  if (names.length === 0) return [];
  const head = ["Field", ...COLUMNS].map((text) =>
    el("th", { text, attributes: { scope: "col" } }),
  );
  const rows = Object.entries(fields).map(([name, figures]) =>
    el(
      "tr",
      {},
      el("th", { text: name, attributes: { scope: "row", title: name } }),
      ...COLUMNS.map((column) => el("td", { text: NUMBERS.format(figures[column]) })),
    ),
  );
  const table = el(
    "table",
    { class: "table fields" },
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows),
  );
  return [el("div", { class: "scroll", attributes: { tabindex: "0" } }, table)];
}
