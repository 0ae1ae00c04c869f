import { formatCount } from "../model/figures.ts";
import type { ReceivedEvent } from "../model/received-event.ts";
import { Tail } from "../model/tail.ts";
import type { CommandContext } from "../model/curl.ts";
import type { Session } from "./api.ts";
import { Detail } from "./detail.ts";
import { byId, el, setText } from "./dom.ts";
import { EmptyState } from "./empty-state.ts";
import { FilterForm } from "./filter-form.ts";
import { TailList } from "./tail-list.ts";

export interface TailSectionOptions {
  readonly commands: () => CommandContext;
  readonly onChannels: (channels: readonly string[]) => void;
  /** What is paused, and by whom: undefined where it is not. */
  readonly onPaused: (paused: { readonly waiting: number } | undefined) => void;
}

/** Counts change faster than they can be read. */
const COUNTS_MS = 200;

/** The events, their filter, and one of them in full. */
export class TailSection {
  readonly #tail = new Tail();
  readonly #options: TailSectionOptions;
  readonly #list: TailList;
  readonly #detail: Detail;
  readonly #empty: EmptyState;
  readonly #filters: FilterForm;
  readonly #pause = byId("pause", HTMLButtonElement);
  readonly #fresh = byId("fresh", HTMLButtonElement);
  #isPaused = false;
  #isReading = false;
  #isOpen = false;
  #publishable: string | undefined;
  #isStale = true;

  constructor(options: TailSectionOptions) {
    this.#options = options;
    this.#list = new TailList({
      tail: this.#tail,
      onOpen: (event) => this.#detail.show(event),
      onReading: (isReading) => this.#setReading(isReading),
    });
    this.#detail = new Detail({
      commands: options.commands,
      onClosed: () => this.#list.focus(),
    });
    this.#filters = new FilterForm({
      onFilter: (filter) => {
        this.#tail.setFilter(filter);
        this.#changed();
      },
      onChannels: options.onChannels,
    });
    this.#empty = new EmptyState({
      commands: options.commands,
      onClearFilter: () => this.#filters.clear(),
    });
    this.#pause.addEventListener("click", () => this.togglePause());
    this.#fresh.addEventListener("click", () => this.resume());
    byId("save", HTMLButtonElement).addEventListener("click", () => save(this.#tail.toArray()));
    setInterval(() => this.#isStale && this.#showCounts(), COUNTS_MS);
  }

  add(event: ReceivedEvent): void {
    this.#tail.add(event);
    this.#filters.offerType(event.type);
    this.#changed();
  }

  setSession({ topics, publish }: Session): void {
    // What is published elsewhere would not come.
    this.#publishable = publish.find((topic) => topics.includes(topic));
    this.#filters.setTopics(topics);
    this.#changed();
  }

  /** Whether a stream is open: then what is not there has not come. */
  setOpen(isOpen: boolean): void {
    this.#isOpen = isOpen;
    this.#changed();
  }

  move(by: number): void {
    this.#list.move(by);
    this.#list.focus();
    // The detail follows, so that one reads event after event.
    if (this.#detail.isOpen) this.#list.openSelected();
  }

  open(): void {
    this.#list.openSelected();
  }

  back(): void {
    if (this.#detail.isOpen) this.#detail.close();
    else this.#list.toNewest();
  }

  toNewest(): void {
    this.#list.toNewest();
  }

  togglePause(): void {
    if (this.#isPaused) this.resume();
    else {
      this.#isPaused = true;
      this.#hold();
    }
  }

  /** Shows the newest again, whyever it did not. */
  resume(): void {
    this.#isPaused = false;
    this.#list.toNewest();
    this.#hold();
  }

  #setReading(isReading: boolean): void {
    if (this.#isReading === isReading) return;
    this.#isReading = isReading;
    this.#hold();
  }

  #hold(): void {
    if (this.#isPaused || this.#isReading) this.#tail.hold();
    else this.#tail.release();
    this.#pause.setAttribute("aria-pressed", String(this.#isPaused));
    this.#pause.replaceChildren(this.#isPaused ? "Resume " : "Pause ", el("kbd", { text: "p" }));
    this.#changed();
    this.#showCounts();
  }

  #changed(): void {
    this.#isStale = true;
    this.#list.refresh();
  }

  #showCounts(): void {
    this.#isStale = false;
    const { received, dropped, length, waiting, isHeld } = this.#tail;
    const parts = [`${formatCount(received)} received`, `${formatCount(length)} shown`];
    if (dropped > 0) parts.push(`${formatCount(dropped)} older ones let go`);
    setText(byId("counts", HTMLElement), parts.join(" · "));
    this.#fresh.hidden = !isHeld || waiting === 0;
    setText(this.#fresh, `↑ ${formatCount(waiting)} new`);
    this.#options.onPaused(this.#isPaused ? { waiting } : undefined);
    this.#empty.update(this.#tail, { isReading: this.#isOpen, topic: this.#publishable });
  }
}

/** Saves events as a file: an envelope with its position a line, the oldest first. */
function save(events: readonly ReceivedEvent[]): void {
  const lines = events.map(
    ({ id, type, envelope }) =>
      `{"id":${JSON.stringify(id)},"event":${JSON.stringify(type)},"envelope":${envelope}}\n`,
  );
  const url = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  const link = el("a", { attributes: { href: url, download: "events.ndjson" } });
  link.click();
  URL.revokeObjectURL(url);
}
