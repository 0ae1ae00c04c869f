import type { RecentError } from "../../dashboard/dashboard-data.ts";
import { formatCount, formatDuration } from "../model/figures.ts";
import { byId, el } from "./dom.ts";

/** The last warnings and errors of the server's log. */
export function showErrors(errors: readonly RecentError[], nowMs: number): void {
  const panel = byId("errors", HTMLElement);
  if (errors.length === 0) {
    panel.replaceChildren(el("p", { class: "note", text: "None since the start." }));
    return;
  }
  const lines = errors.map(({ level, message, timestamp, count }) => {
    const times = count > 1 ? ` ×${formatCount(count)}` : "";
    return el(
      "li",
      {},
      el("span", { class: level === "warn" ? "warn" : "bad", text: level }),
      el("span", { text: message + times }),
      el("span", { class: "muted", text: `${formatDuration(nowMs - timestamp)} ago` }),
    );
  });
  panel.replaceChildren(el("ul", { class: "errors" }, ...lines));
}
