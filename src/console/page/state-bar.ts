import { formatCount } from "../model/figures.ts";
import type { StreamState } from "../model/stream-state.ts";
import { byId, setText } from "./dom.ts";

const TEXTS: Readonly<Record<StreamState["name"], string>> = {
  connecting: "Connecting",
  behind: "Catching up",
  live: "Live",
  disconnected: "Disconnected",
  refused: "Refused",
  stopped: "Stopped",
};

const COUNTDOWN_MS = 250;

/** How the stream is: in words, with a colour that repeats them, and what can be done about it. */
export class StateBar {
  readonly #bar = byId("state", HTMLElement);
  readonly #text = byId("state-text", HTMLElement);
  readonly #why = byId("state-why", HTMLElement);
  readonly #retry = byId("retry", HTMLButtonElement);
  #state: StreamState = { name: "connecting" };
  #paused: { readonly waiting: number } | undefined;

  constructor({ onRetry }: { onRetry: () => void }) {
    this.#retry.addEventListener("click", onRetry);
    setInterval(() => this.#state.name === "disconnected" && this.#show(), COUNTDOWN_MS);
  }

  setState(state: StreamState): void {
    this.#state = state;
    this.#show();
  }

  setPaused(paused: { readonly waiting: number } | undefined): void {
    this.#paused = paused;
    this.#show();
  }

  #show(): void {
    const state = this.#state;
    const isPaused = this.#paused !== undefined && state.name === "live";
    const name = isPaused ? "paused" : state.name;
    this.#bar.dataset["state"] = name;
    setText(this.#text, isPaused ? "Paused" : textOf(state));
    setText(this.#why, isPaused ? `${formatCount(this.#paused?.waiting ?? 0)} new` : whyOf(state));
    const isTriable = state.name === "disconnected" || state.name === "refused";
    this.#retry.hidden = !isTriable || isTokenMissing(state);
    document.title = name === "live" ? "Headgate" : `${this.#text.textContent} · Headgate`;
  }
}

function isTokenMissing(state: StreamState): boolean {
  return state.name === "refused" && state.status === 401;
}

function textOf(state: StreamState): string {
  return isTokenMissing(state) ? "Token needed" : TEXTS[state.name];
}

function whyOf(state: StreamState): string {
  // The form says what is wrong with the token.
  if (state.name === "refused") return isTokenMissing(state) ? "" : state.why;
  if (state.name === "behind") return "reading what was missed";
  if (state.name !== "disconnected") return "";
  const seconds = Math.ceil(Math.max(0, state.retryAtMs - performance.now()) / 1000);
  return `${state.why}; trying again in ${seconds} s`;
}
