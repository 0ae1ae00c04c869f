import type { Filter } from "../model/filter.ts";
import { itemsOf } from "../model/publication.ts";
import { byId, el } from "./dom.ts";

/** Types that are offered; a producer can make up any number of them. */
const OFFERED_TYPES = 100;

/** The fields above the list. What is typed filters what is there, at once; channels are joined on Enter. */
export class FilterForm {
  readonly #form = byId("filters", HTMLFormElement);
  readonly #topic = byId("filter-topic", HTMLSelectElement);
  readonly #channels = byId("channels", HTMLInputElement);
  readonly #offered = byId("seen-types", HTMLElement);
  readonly #types = new Set<string>();
  readonly #onFilter: (filter: Filter) => void;

  constructor({
    onFilter,
    onChannels,
  }: {
    onFilter: (filter: Filter) => void;
    onChannels: (channels: readonly string[]) => void;
  }) {
    this.#onFilter = onFilter;
    const tell = (): void => onFilter(this.#read());
    this.#form.addEventListener("input", ({ target }) => target !== this.#channels && tell());
    let joined = "";
    const join = (): void => {
      const channels = itemsOf(this.#channels.value);
      if (channels.join() === joined) return;
      joined = channels.join();
      onChannels(channels);
    };
    this.#channels.addEventListener("change", join);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      join();
    });
  }

  setTopics(topics: readonly string[]): void {
    const { value } = this.#topic;
    const option = (text: string, chosen: string): HTMLElement =>
      el("option", { text, attributes: { value: chosen } });
    this.#topic.replaceChildren(option("all", ""), ...topics.map((topic) => option(topic, topic)));
    if (topics.includes(value)) this.#topic.value = value;
  }

  /** Offers a type that has been seen. */
  offerType(type: string): void {
    if (this.#types.has(type) || this.#types.size >= OFFERED_TYPES) return;
    this.#types.add(type);
    this.#offered.append(el("option", { attributes: { value: type } }));
  }

  clear(): void {
    const { value } = this.#channels;
    this.#form.reset();
    this.#channels.value = value;
    this.#onFilter(this.#read());
  }

  #read(): Filter {
    const fields = new FormData(this.#form);
    const field = (name: string): string => {
      const value = fields.get(name);
      return typeof value === "string" ? value : "";
    };
    return {
      topic: field("topic"),
      types: field("types"),
      keys: field("keys"),
      text: field("text"),
    };
  }
}
