/** What an element is made with: its class, its text, and attributes. `undefined` leaves one out. */
export interface Made {
  readonly class?: string;
  readonly text?: string;
  readonly attributes?: Readonly<Record<string, string | undefined>>;
}

/** Makes an element. Texts are texts: nothing that a stranger wrote is ever read as HTML. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  { class: name, text, attributes = {} }: Made = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (name !== undefined) element.className = name;
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** The page's own element of this id. @throws Error where the page has no such one. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`The page has no ${type.name} "${id}"`);
}

/** Changes a text only where it is another one: what is the same is not laid out again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A button that does something. */
export function button(text: string, onClick: () => void, name?: string): HTMLButtonElement {
  const made = el("button", { text, attributes: { type: "button", class: name } });
  made.addEventListener("click", onClick);
  return made;
}
