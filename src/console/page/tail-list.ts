import { formatClock } from "../model/figures.ts";
import type { ReceivedEvent } from "../model/received-event.ts";
import type { Tail } from "../model/tail.ts";
import { byId, el, setText } from "./dom.ts";
import { topicColour } from "./topic-colour.ts";

/** Ten times a second: more could not be read, and leaves the machine to whoever is on call. */
const MIN_REFRESH_MS = 100;

/** Rows beyond the edges, so that scrolling shows no gaps. */
const SPARE_ROWS = 6;

/** What of a payload a row can show at all. */
const SHOWN_CHARACTERS = 400;

/** More at once are not marked as new: it would only flicker. */
const MARKED_ROWS = 2;

const COLUMNS = ["time", "topic", "place", "type", "key", "payload"] as const;

interface Row {
  readonly element: HTMLElement;
  readonly cells: Readonly<Record<(typeof COLUMNS)[number], HTMLElement>>;
  number: number;
}

export interface TailListOptions {
  readonly tail: Tail;
  readonly onOpen: (event: ReceivedEvent) => void;
  /** Somebody looks for something further down, or at the newest again. */
  readonly onReading: (isReading: boolean) => void;
}

/** The list of events. It has the rows that can be seen, and uses them again: a thousand events a second change no more than those. */
export class TailList {
  readonly #options: TailListOptions;
  readonly #viewport = byId("list", HTMLElement);
  readonly #content = byId("rows", HTMLElement);
  readonly #rows = new Map<number, Row>();
  readonly #unused: Row[] = [];
  readonly #reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
  #rowHeight = 26;
  #height = 0;
  #selected = 0;
  #newest = 0;
  #isScheduled = false;
  #lastMs = 0;

  constructor(options: TailListOptions) {
    this.#options = options;
    new ResizeObserver(() => this.#measure()).observe(this.#viewport);
    this.#viewport.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    this.#content.addEventListener("click", ({ target }) => {
      const element = target instanceof Element ? target.closest<HTMLElement>(".event") : null;
      if (element) this.#open(Number(element.dataset["number"]));
    });
    this.#viewport.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.openSelected();
      else if (event.key === "ArrowDown") this.move(1);
      else if (event.key === "ArrowUp") this.move(-1);
      else if (event.key === "PageDown") this.move(this.#page);
      else if (event.key === "PageUp") this.move(-this.#page);
      else if (event.key === "Home") this.toNewest();
      else if (event.key === "End") this.move(this.#options.tail.length);
      else return;
      event.preventDefault();
    });
  }

  /** The number of the event that is selected; 0: none. */
  get selected(): number {
    return this.#selected;
  }

  get #page(): number {
    return Math.max(1, Math.floor(this.#height / this.#rowHeight) - 1);
  }

  /** Shows what the tail holds, soon. */
  refresh(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const waitMs = Math.max(0, this.#lastMs + MIN_REFRESH_MS - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.#draw()), waitMs);
  }

  focus(): void {
    this.#viewport.focus({ preventScroll: true });
  }

  /** Selects the next, or one further on; the list is held then. */
  move(by: number): void {
    const { tail, onReading } = this.#options;
    if (tail.length === 0) return;
    onReading(true);
    const from = this.#selected === 0 ? -1 : tail.indexOf(this.#selected);
    const index = Math.min(tail.length - 1, Math.max(0, from + by));
    this.#selected = tail.at(index)?.number ?? 0;
    this.#reveal(index);
    this.#draw();
  }

  openSelected(): void {
    if (this.#selected === 0) this.move(1);
    this.#open(this.#selected);
  }

  toNewest(): void {
    this.#selected = 0;
    this.#viewport.scrollTop = 0;
    this.#options.onReading(false);
    this.#draw();
  }

  #open(number: number): void {
    const { tail, onOpen, onReading } = this.#options;
    onReading(true);
    const event = tail.at(tail.indexOf(number));
    if (!event) return;
    this.#selected = number;
    this.#draw();
    onOpen(event);
  }

  #reveal(index: number): void {
    const top = index * this.#rowHeight;
    const { scrollTop } = this.#viewport;
    // What is not laid out yet cannot be scrolled to.
    this.#content.style.height = `${this.#options.tail.length * this.#rowHeight}px`;
    if (top < scrollTop) this.#viewport.scrollTop = top;
    else if (top + this.#rowHeight > scrollTop + this.#height) {
      this.#viewport.scrollTop = top + this.#rowHeight - this.#height;
    }
  }

  #onScroll(): void {
    const isAway = this.#viewport.scrollTop > this.#rowHeight / 2;
    if (isAway) this.#options.onReading(true);
    else if (this.#selected === 0) this.#options.onReading(false);
    this.refresh();
  }

  #measure(): void {
    const height = getComputedStyle(document.documentElement).getPropertyValue("--row-height");
    this.#rowHeight = Number.parseInt(height, 10) || 26;
    this.#height = this.#viewport.clientHeight;
    this.#draw();
  }

  #draw(): void {
    this.#isScheduled = false;
    this.#lastMs = performance.now();
    const { tail } = this.#options;
    const { scrollTop } = this.#viewport;
    const first = Math.max(0, Math.floor(scrollTop / this.#rowHeight) - SPARE_ROWS);
    const visible = Math.ceil(this.#height / this.#rowHeight) + 2 * SPARE_ROWS;
    const last = Math.min(tail.length, first + visible);
    const wanted = new Map<number, number>();
    for (let index = first; index < last; index += 1) {
      const event = tail.at(index);
      if (event) wanted.set(event.number, index);
    }
    for (const [number, row] of this.#rows) {
      if (wanted.has(number)) continue;
      this.#rows.delete(number);
      this.#unused.push(row);
    }
    const fresh: Row[] = [];
    for (const [number, index] of wanted) {
      const row = this.#rows.get(number) ?? this.#take(tail.at(index));
      if (number > this.#newest) fresh.push(row);
      this.#place(row, index);
    }
    for (const { element } of this.#unused) element.hidden = true;
    this.#mark(fresh);
    this.#newest = Math.max(this.#newest, tail.at(0)?.number ?? 0);
    this.#content.style.height = `${tail.length * this.#rowHeight}px`;
    this.#describeSelection(wanted);
  }

  #take(event: ReceivedEvent | undefined): Row {
    const row = this.#unused.pop() ?? this.#create();
    if (event) {
      fill(row, event);
      this.#rows.set(event.number, row);
    }
    return row;
  }

  #create(): Row {
    const element = el("div", { class: "event", attributes: { role: "option" } });
    const cell = (name: string): HTMLElement => {
      const made = el("span", { class: name });
      element.append(made);
      return made;
    };
    const [time, topic, place, type, key, payload] = [
      cell("time"),
      cell("topic"),
      cell("place"),
      cell("type"),
      cell("key"),
      cell("payload"),
    ];
    this.#content.append(element);
    return { element, cells: { time, topic, place, type, key, payload }, number: 0 };
  }

  #place({ element, number }: Row, index: number): void {
    element.hidden = false;
    element.style.transform = `translateY(${index * this.#rowHeight}px)`;
    element.setAttribute("aria-posinset", String(index + 1));
    element.setAttribute("aria-setsize", String(this.#options.tail.length));
    element.setAttribute("aria-selected", String(number === this.#selected));
  }

  #mark(fresh: readonly Row[]): void {
    if (fresh.length > MARKED_ROWS || this.#reducedMotion.matches) return;
    for (const { element } of fresh) {
      element.animate([{ backgroundColor: "var(--fresh)" }, { backgroundColor: "transparent" }], {
        duration: 700,
        easing: "ease-out",
      });
    }
  }

  #describeSelection(wanted: ReadonlyMap<number, number>): void {
    if (wanted.has(this.#selected)) {
      this.#viewport.setAttribute("aria-activedescendant", `event-${this.#selected}`);
    } else this.#viewport.removeAttribute("aria-activedescendant");
  }
}

function fill(row: Row, event: ReceivedEvent): void {
  const { element, cells } = row;
  row.number = event.number;
  element.id = `event-${event.number}`;
  element.dataset["number"] = String(event.number);
  setText(cells.time, event.timestampMs === undefined ? "" : formatClock(event.timestampMs));
  setText(cells.topic, event.topic);
  cells.topic.style.setProperty("--topic", topicColour(event.topic));
  setText(cells.place, `${event.partition}:${event.offset}`);
  setText(cells.type, event.type);
  setText(cells.key, event.key ?? "");
  setText(cells.payload, event.payload.slice(0, SHOWN_CHARACTERS));
}
