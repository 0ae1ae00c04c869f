import { formatClock } from "../model/figures.ts";
import { describeReset, type ResetNotice } from "../model/stream-state.ts";
import { button, byId, el } from "./dom.ts";

/** A server that resets again and again would fill the page. */
const MAX_NOTICES = 3;

/** Says what is missing, until somebody has seen it. */
export function showReset(notice: ResetNotice): void {
  const notices = byId("notices", HTMLElement);
  const element = el(
    "div",
    { class: "notice" },
    el("p", { text: `${formatClock(Date.now())} Reset. ${describeReset(notice)}` }),
    button("Dismiss", () => element.remove()),
  );
  notices.append(element);
  while (notices.childElementCount > MAX_NOTICES) notices.firstElementChild?.remove();
}
