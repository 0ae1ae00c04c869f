import type { PartitionStatus, SourceStatus } from "../../log/source.ts";
import { formatCount, formatDuration } from "../model/figures.ts";
import { button, byId, el, setText } from "./dom.ts";
import { topicColour } from "./topic-colour.ts";

/** Topics and partitions: how far each has been read, and what is still to come. */
export class TopicsPanel {
  readonly #element = byId("topics", HTMLElement);
  readonly #source = byId("source", HTMLElement);
  /** Topics whose partitions are listed, or not, because somebody wants it so. */
  readonly #chosen = new Map<string, boolean>();
  #state: SourceStatus | undefined;

  update(state: SourceStatus): void {
    this.#state = state;
    this.#show();
  }

  #show(): void {
    if (!this.#state) return;
    setText(this.#source, sourceText(this.#state));
    const head = ["Topic / partition", "Next offset", "End", "Lag"].map((text) =>
      el("th", { text, attributes: { scope: "col" } }),
    );
    const body = el("tbody");
    const byTopic = Map.groupBy(this.#state.consumer.partitions, ({ topic }) => topic);
    for (const [topic, partitions] of byTopic) body.append(...this.#rows(topic, partitions));
    const focused = focusedTopic();
    this.#element.replaceChildren(
      el("table", { class: "table" }, el("thead", {}, el("tr", {}, ...head)), body),
    );
    // The table is made anew; whoever is at a button stays there.
    if (focused === undefined) return;
    const buttons = this.#element.querySelectorAll<HTMLElement>("button[data-topic]");
    [...buttons].find(({ dataset }) => dataset["topic"] === focused)?.focus();
  }

  #rows(topic: string, partitions: readonly PartitionStatus[]): HTMLElement[] {
    const total = (read: (one: PartitionStatus) => number): number =>
      partitions.reduce((sum, one) => sum + read(one), 0);
    const lag = total((one) => one.lag);
    // What is behind is looked at more closely.
    const isOpen = this.#chosen.get(topic) ?? (lag > 0 && partitions.length <= LISTED_PARTITIONS);
    const name = el("th", { attributes: { scope: "row", title: topic } });
    name.style.setProperty("--topic", topicColour(topic));
    if (partitions.length > 1) name.append(this.#toggle(topic, isOpen));
    name.append(topic);
    const group = el(
      "tr",
      { class: "group" },
      name,
      cell(total((one) => one.offset)),
      cell(total((one) => one.highWatermark)),
      lagCell(lag),
    );
    const rows: HTMLElement[] = [group];
    for (const one of partitions) {
      if (isOpen && partitions.length > 1) rows.push(partitionRow(one));
      rows.push(...problemRows(one));
    }
    return rows;
  }

  #toggle(topic: string, isOpen: boolean): HTMLElement {
    const toggle = button(isOpen ? "▾" : "▸", () => {
      this.#chosen.set(topic, !isOpen);
      this.#show();
    });
    toggle.className = "toggle";
    toggle.dataset["topic"] = topic;
    toggle.setAttribute("aria-expanded", String(isOpen));
    toggle.setAttribute("aria-label", `Partitions of ${topic}`);
    return toggle;
  }
}

/** More partitions than these of one topic are not listed unasked. */
const LISTED_PARTITIONS = 12;

function focusedTopic(): string | undefined {
  const { activeElement } = document;
  return activeElement instanceof HTMLElement ? activeElement.dataset["topic"] : undefined;
}

function sourceText({ mode, stale, producer, consumer }: SourceStatus): string {
  if (mode === "embedded") return "embedded log";
  if (stale) return "Kafka does not answer; these are the last figures";
  if (consumer.connected && producer.connected) return "Kafka, connected";
  return consumer.connected ? "Kafka, connected to read only" : "Kafka, not connected";
}

function partitionRow({ partition, offset, highWatermark, lag }: PartitionStatus): HTMLElement {
  return el(
    "tr",
    { class: "partition" },
    el("th", { text: String(partition), attributes: { scope: "row" } }),
    cell(offset),
    cell(highWatermark),
    lagCell(lag),
  );
}

function problemRows({ partition, lastError, staleSince }: PartitionStatus): HTMLElement[] {
  if (lastError === undefined && staleSince === undefined) return [];
  const since =
    staleSince === undefined ? "" : `nothing heard for ${formatDuration(Date.now() - staleSince)}`;
  const text = [lastError, since].filter(Boolean).join("; ");
  const told = el("td", { text: `${partition}: ${text}`, attributes: { colspan: "4" } });
  return [el("tr", { class: "problem" }, told)];
}

const cell = (count: number): HTMLElement => el("td", { text: formatCount(count) });

function lagCell(lag: number): HTMLElement {
  return el("td", { text: formatCount(lag), class: lag > 0 ? "warn" : "muted" });
}
