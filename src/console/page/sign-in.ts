import type { Api } from "./api.ts";
import { byId, setText } from "./dom.ts";

/** The form for a token. */
export class SignIn {
  readonly #api: Api;
  readonly #panel = byId("sign-in", HTMLElement);
  readonly #why = byId("sign-in-why", HTMLElement);
  readonly #field = byId("token", HTMLInputElement);
  readonly #forget = byId("forget-token", HTMLButtonElement);

  constructor(api: Api, { onChange }: { onChange: () => void }) {
    this.#api = api;
    byId("sign-in-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      // Whoever copies a whole header means what comes after the word.
      api.setToken(this.#field.value.trim().replace(/^(?:Authorization: *)?Bearer +/i, ""));
      this.#field.value = "";
      onChange();
    });
    this.#forget.addEventListener("click", () => {
      api.setToken(undefined);
      onChange();
    });
    byId("change-token", HTMLButtonElement).addEventListener("click", () => {
      if (this.#panel.hidden) this.ask("Another token takes the place of the one in use.");
      else this.hide();
    });
  }

  /** Asks for a token, and says why. */
  ask(why: string): void {
    setText(this.#why, why);
    this.#forget.hidden = this.#api.token === undefined;
    if (!this.#panel.hidden) return;
    this.#panel.hidden = false;
    this.#field.focus();
  }

  hide(): void {
    this.#panel.hidden = true;
  }
}
