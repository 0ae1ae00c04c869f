import type { Settings } from "./server.ts";

/** What a request of these tests has. */
interface Asked {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Settings;
}

/** Everything that was sent and must not come out, and everything that came out. */
export class SecretWatch {
  readonly #secrets = new Set<string>();
  readonly #claim: string;
  readonly #payload: string;
  /** Heads of all answers, and bodies of those that are no events. */
  readonly answers: string[] = [];
  readonly statuses = new Set<number>();

  /** What every token says, and what every event says. */
  constructor({ claim, payload }: { claim: string; payload: string }) {
    this.#claim = claim;
    this.#payload = payload;
  }

  /** Notes a token, or a secret, of which no part may come out. */
  hide(text: string): string {
    this.#secrets.add(text);
    return text;
  }

  /** Sends a request, and keeps what must be clean of its answer. */
  async ask(url: string, init: Asked = {}): Promise<Response> {
    const response = await fetch(url, init);
    const { status, headers } = response;
    this.statuses.add(status);
    this.answers.push(JSON.stringify([...headers]));
    const isStream = /event-stream|ndjson/.test(headers.get("content-type") ?? "");
    // Whoever reads events gets their payloads.
    const isEvents = status === 200 && /\/events(?:[/?]|$)/.test(url) && init.method !== "POST";
    if (isStream) await response.body?.cancel();
    else if (isEvents) this.answers.push((await response.text()).replaceAll(this.#payload, ""));
    else this.answers.push(await response.text());
    return response;
  }

  /** The same token in each way that a token travels. */
  async askWith(token: string, target: string, init: Asked = {}): Promise<void> {
    this.hide(token);
    const ways: { query?: string; headers?: Settings }[] = [
      { headers: { Authorization: `Bearer ${token}` } },
      { headers: { Cookie: `headgate_token=${token}` } },
      { query: `token=${token}` },
      // As others call it: no token here, but one all the same.
      { query: `access_token=${token}` },
    ];
    for (const { query, headers } of ways) {
      const mark = target.includes("?") ? "&" : "?";
      const url = query === undefined ? target : `${target}${mark}${query}`;
      const type = { "Content-Type": "application/json" };
      await this.ask(url, { ...init, headers: { ...type, ...headers, ...init.headers } });
    }
  }

  /** What is hidden, and is in one of these texts or of the answers all the same: it should be nothing. */
  leaks(...texts: string[]): string[] {
    const hidden = [this.#claim, this.#payload, ...[...this.#secrets].flatMap(pieces)];
    const all = [...texts, ...this.answers].join("\n");
    return hidden.filter((piece) => all.includes(piece));
  }
}

/** Pieces of which every part of 24 characters holds one. */
function pieces(text: string): string[] {
  const count = Math.floor((text.length - 8) / 8);
  return Array.from({ length: count }, (_, i) => text.slice(i * 8, i * 8 + 16));
}
