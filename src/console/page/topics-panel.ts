import { formatCount, formatDuration } from "../model/figures.ts";
import { byId, el, setText } from "./dom.ts";
import { topicColour } from "./topic-colour.ts";

/** Of `GET /kafka/status`, what is shown here. */
export interface SourceState {
  readonly mode: "kafka" | "embedded";
  readonly stale?: true;
  readonly producer: { readonly connected: boolean };
  readonly consumer: {
    readonly connected: boolean;
    readonly lastError?: string;
    readonly partitions: readonly PartitionState[];
  };
}

interface PartitionState {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly highWatermark: number;
  readonly lag: number;
  readonly lastError?: string;
  /** Milliseconds since 1970. */
  readonly staleSince?: number;
}

/** More partitions than these are summed up, a line for each topic. */
const LISTED_PARTITIONS = 40;

/** Topics and partitions: how far each has been read, and what is still to come. */
export function showTopics(state: SourceState): void {
  const { mode, stale, producer, consumer } = state;
  setText(byId("source", HTMLElement), sourceText(mode, { stale, producer, consumer }));
  const { partitions } = consumer;
  const isListed = partitions.length <= LISTED_PARTITIONS;
  const byTopic = Map.groupBy(partitions, ({ topic }) => topic);
  const body = el("tbody");
  for (const [topic, of] of byTopic) {
    const total = (read: (one: PartitionState) => number): number =>
      of.reduce((sum, one) => sum + read(one), 0);
    const name = el("th", { text: topic, attributes: { scope: "row", title: topic } });
    name.style.setProperty("--topic", topicColour(topic));
    body.append(
      el(
        "tr",
        { class: "group" },
        name,
        cell(total((one) => one.offset)),
        cell(total((one) => one.highWatermark)),
        lagCell(total((one) => one.lag)),
      ),
    );
    for (const one of of) {
      if (isListed && of.length > 1) body.append(partitionRow(one));
      body.append(...problemRows(one));
    }
  }
  const head = el(
    "tr",
    {},
    ...["Topic / partition", "Next offset", "End", "Lag"].map((text) =>
      el("th", { text, attributes: { scope: "col" } }),
    ),
  );
  byId("topics", HTMLElement).replaceChildren(
    el("table", { class: "table" }, el("thead", {}, head), body),
  );
}

function sourceText(
  mode: SourceState["mode"],
  { stale, producer, consumer }: Pick<SourceState, "producer" | "consumer"> & { stale?: unknown },
): string {
  if (mode === "embedded") return "embedded log";
  if (stale) return "Kafka does not answer; these are the last figures";
  if (consumer.connected && producer.connected) return "Kafka, connected";
  return consumer.connected ? "Kafka, connected to read only" : "Kafka, not connected";
}

function partitionRow({ partition, offset, highWatermark, lag }: PartitionState): HTMLElement {
  return el(
    "tr",
    { class: "partition" },
    el("th", { text: String(partition), attributes: { scope: "row" } }),
    cell(offset),
    cell(highWatermark),
    lagCell(lag),
  );
}

function problemRows({ partition, lastError, staleSince }: PartitionState): HTMLElement[] {
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
