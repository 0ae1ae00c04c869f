import { problemText } from "../../client/problem.ts";
import { checkJson, publishBody, publishedText } from "../model/publication.ts";
import type { Api, Session } from "./api.ts";
import { byId, el, setText } from "./dom.ts";

/** Publishes one event, to see it come. */
export class PublishForm {
  readonly #api: Api;
  readonly #form = byId("publish", HTMLFormElement);
  readonly #note = byId("publish-note", HTMLElement);
  readonly #topic = byId("publish-topic", HTMLSelectElement);
  readonly #data = byId("publish-data", HTMLTextAreaElement);
  readonly #check = byId("publish-check", HTMLElement);
  readonly #button = byId("publish-button", HTMLButtonElement);
  readonly #answer = byId("publish-answer", HTMLElement);

  constructor(api: Api) {
    this.#api = api;
    this.#data.addEventListener("input", () => this.#validate());
    this.#data.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#button.disabled) void this.#publish();
    });
    this.#form.hidden = true;
    this.#validate();
  }

  setSession({ publish, authentication }: Session): void {
    this.#form.hidden = publish.length === 0;
    this.#note.hidden = publish.length > 0;
    setText(
      this.#note,
      authentication === "jwt"
        ? "The token does not allow publishing (claim headgate.publish)."
        : "From elsewhere than the server's own machine publishing needs a token, or ALLOW_ANONYMOUS_PUBLISH=true.",
    );
    const { value } = this.#topic;
    this.#topic.replaceChildren(
      ...publish.map((topic) => el("option", { text: topic, attributes: { value: topic } })),
    );
    if (publish.includes(value)) this.#topic.value = value;
  }

  /** Offers nothing, and says why. */
  refuse(why: string): void {
    this.#form.hidden = true;
    this.#note.hidden = false;
    setText(this.#note, why);
  }

  #validate(): void {
    const fault = checkJson(this.#data.value);
    setText(this.#check, fault === undefined ? "Valid JSON" : fault);
    this.#check.className = `full check ${fault === undefined ? "muted" : "bad"}`;
    this.#data.setAttribute("aria-invalid", String(fault !== undefined));
    this.#button.disabled = fault !== undefined;
  }

  async #publish(): Promise<void> {
    const field = (name: string): string => {
      const value = new FormData(this.#form).get(name);
      return typeof value === "string" ? value : "";
    };
    const body = publishBody({
      topic: this.#topic.value,
      type: field("type"),
      key: field("key"),
      channels: field("channels"),
      data: this.#data.value,
    });
    this.#button.disabled = true;
    this.#say("Publishing …", "muted");
    try {
      const response = await this.#api.request("events", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
      });
      if (response.ok) this.#say(publishedText(await response.json()), "good");
      else this.#say(await problemText(response), "bad");
    } catch {
      this.#say("The server cannot be reached; whether it has the event is not known", "bad");
    }
    this.#validate();
  }

  #say(text: string, kind: string): void {
    setText(this.#answer, text);
    this.#answer.className = `answer ${kind}`;
  }
}
