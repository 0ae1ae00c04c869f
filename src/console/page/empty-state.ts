import { type CommandContext, publishCommand, subscribeCommand } from "../model/curl.ts";
import { isEmptyFilter } from "../model/filter.ts";
import type { Tail } from "../model/tail.ts";
import { copyButton } from "./clipboard.ts";
import { button, byId, el } from "./dom.ts";

/** What stands where no event is: how to make the first one come, or why none is shown. */
export class EmptyState {
  readonly #element = byId("empty", HTMLElement);
  readonly #commands: () => CommandContext;
  readonly #onClearFilter: () => void;
  #topic: string | undefined;
  #shown: "nothing" | "none yet" | "filtered" = "nothing";

  constructor({
    commands,
    onClearFilter,
  }: {
    commands: () => CommandContext;
    onClearFilter: () => void;
  }) {
    this.#commands = commands;
    this.#onClearFilter = onClearFilter;
  }

  /** `isReading`: a stream is open, so that what is not there has not come. `topic`: where one may publish. */
  update(
    tail: Tail,
    { isReading, topic }: { isReading: boolean; topic: string | undefined },
  ): void {
    const isFiltered = tail.received > 0 && !isEmptyFilter(tail.filter);
    const wanted =
      tail.length > 0 ? "nothing" : isFiltered ? "filtered" : isReading ? "none yet" : "nothing";
    if (wanted === this.#shown && topic === this.#topic) return;
    this.#shown = wanted;
    this.#topic = topic;
    this.#element.hidden = wanted === "nothing";
    if (wanted === "filtered") this.#sayFiltered();
    if (wanted === "none yet") this.#sayHow(topic);
  }

  #sayFiltered(): void {
    this.#element.replaceChildren(
      el("h3", { text: "No event matches the filter" }),
      el("p", { text: "What matches appears here as it comes." }),
      button("Clear the filter", this.#onClearFilter),
    );
  }

  #sayHow(topic: string | undefined): void {
    const context = this.#commands();
    const event = { topic, type: "greeting", data: { hello: "world" } };
    const publishing =
      topic === undefined
        ? [el("p", { text: "The stream is open; what is published appears here at once." })]
        : [
            el("p", { text: "The stream is open. Publish one, and it appears here at once:" }),
            command(publishCommand(event, context)),
          ];
    this.#element.replaceChildren(
      el("h3", { text: "No event yet" }),
      ...publishing,
      el("p", { text: "To read the same stream in a terminal:" }),
      command(subscribeCommand(context)),
    );
  }
}

function command(text: string): HTMLElement {
  return el(
    "div",
    { class: "command" },
    el("pre", { text }),
    copyButton("Copy", () => text),
  );
}
