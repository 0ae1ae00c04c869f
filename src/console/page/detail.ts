import { type CommandContext, fetchCommand, resumeCommand } from "../model/curl.ts";
import { formatInstant } from "../model/figures.ts";
import { indentJson, memberText } from "../model/json-text.ts";
import type { ReceivedEvent } from "../model/received-event.ts";
import { copyButton } from "./clipboard.ts";
import { byId, el } from "./dom.ts";

/** Characters that get colours: each token is an element, and a large event has a hundred thousand. */
const COLOURED_CHARACTERS = 60_000;

/** One event in full, beside the list. */
export class Detail {
  readonly #panel = byId("detail", HTMLElement);
  readonly #title = byId("detail-title", HTMLElement);
  readonly #actions = byId("detail-actions", HTMLElement);
  readonly #body = byId("detail-body", HTMLElement);
  readonly #commands: () => CommandContext;
  readonly #onClosed: () => void;

  constructor({ commands, onClosed }: { commands: () => CommandContext; onClosed: () => void }) {
    this.#commands = commands;
    this.#onClosed = onClosed;
    byId("close-detail", HTMLButtonElement).addEventListener("click", () => this.close());
  }

  get isOpen(): boolean {
    return !this.#panel.hidden;
  }

  show(event: ReceivedEvent): void {
    const { topic, partition, offset, type } = event;
    const context = this.#commands();
    this.#title.textContent = `${type} · ${topic}/${partition} @ ${offset}`;
    this.#actions.replaceChildren(
      copyButton("Copy", () => plain(event.envelope)),
      copyButton("Copy curl: this event", () => fetchCommand(event, context)),
      copyButton("Copy curl: all after it", () => resumeCommand(event, context)),
    );
    this.#body.replaceChildren(
      facts(event),
      el("h3", { text: "Headers" }),
      block(memberText(event.envelope, "headers") ?? "{}"),
      el("h3", { text: "Payload" }),
      block(event.payload),
    );
    this.#body.scrollTop = 0;
    if (this.isOpen) return;
    this.#panel.hidden = false;
    this.#title.focus();
  }

  close(): void {
    if (!this.isOpen) return;
    this.#panel.hidden = true;
    this.#onClosed();
  }
}

function facts(event: ReceivedEvent): HTMLElement {
  const { timestampMs } = event;
  const kind = memberText(event.envelope, "tstype");
  const encoding = memberText(event.envelope, "encoding");
  const rows: readonly (readonly [name: string, value: string])[] = [
    ["Position", event.id],
    ["Topic", event.topic],
    ["Partition", String(event.partition)],
    ["Offset", String(event.offset)],
    ["Type", event.type],
    ["Key", event.key ?? "none"],
    [
      "Timestamp",
      timestampMs === undefined
        ? "not known"
        : `${formatInstant(timestampMs)}${kind === undefined ? "" : ` (${kind.replaceAll('"', "")})`}`,
    ],
    ...(encoding === undefined ? [] : [["Encoding", encoding.replaceAll('"', "")] as const]),
  ];
  const list = el("dl", { class: "facts" });
  for (const [name, value] of rows) {
    list.append(el("dt", { text: name }), el("dd", { text: value }));
  }
  return list;
}

function block(json: string): HTMLElement {
  const made = el("pre", { class: "json", attributes: { tabindex: "0" } });
  if (json.length > COLOURED_CHARACTERS) made.textContent = plain(json);
  else made.append(...indentJson(json).map(({ kind, text }) => el("span", { class: kind, text })));
  return made;
}

function plain(json: string): string {
  return indentJson(json)
    .map(({ text }) => text)
    .join("");
}
