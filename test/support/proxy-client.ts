import { EventReader } from "./subscriber.ts";
import type { Settings } from "./server.ts";
import { type Certificate, HOST } from "./tls.ts";

export interface ProxyRequest {
  readonly method?: string;
  readonly headers?: Settings;
  readonly body?: string;
  /** The client's own address, of 127.0.0.0/8. */
  readonly from?: string;
  readonly http?: "1.1" | "2";
}

/** An answer that has ended. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A client of a proxy: curl, which checks the certificate, speaks HTTP/2 and can come from any local address. */
export class ProxyClient {
  readonly #port: number;
  readonly #certificate: Certificate;

  constructor(port: number, certificate: Certificate) {
    this.#port = port;
    this.#certificate = certificate;
  }

  get origin(): string {
    return `https://${HOST}:${this.#port}`;
  }

  /** Asks for something that ends. */
  async request(path: string, request: ProxyRequest = {}): Promise<Answer> {
    await using stream = this.#spawn(path, { ...request, headers: { ...request.headers } }, true);
    await stream.ended();
    if (stream.status === 0) throw new Error(`No answer: ${await stream.errors}`);
    return { status: stream.status, headers: stream.headers, body: stream.body };
  }

  /** One event, or several, to `POST /events`. */
  publish(body: unknown, headers: Settings = {}): Promise<Answer> {
    const json = { "Content-Type": "application/json", ...headers };
    return this.request("/events", { method: "POST", headers: json, body: JSON.stringify(body) });
  }

  /** Opens a stream as EventSource does, and waits for its first bytes. */
  async open(path = "/events", request: ProxyRequest = {}): Promise<ProxiedStream> {
    const headers = { Accept: "text/event-stream", ...request.headers };
    const stream = this.#spawn(path, { ...request, headers }, false);
    await stream.until(() => stream.status > 0 || stream.isEnded);
    if (stream.status === 0) throw new Error(`No answer: ${await stream.errors}`);
    return stream;
  }

  /** The same, and waits until it has caught up. */
  async live(...args: Parameters<typeof this.open>): Promise<ProxiedStream> {
    const stream = await this.open(...args);
    await stream.first("live");
    return stream;
  }

  #spawn(
    path: string,
    { method = "GET", headers = {}, body, from, http = "2" }: ProxyRequest,
    isText: boolean,
  ): ProxiedStream {
    const command = ["curl", "-sSN", "-i", "--compressed", `--http${http}`];
    command.push(
      "--cacert",
      this.#certificate.cert,
      "--resolve",
      `${HOST}:${this.#port}:127.0.0.1`,
    );
    if (method === "HEAD") command.push("--head");
    else command.push("-X", method);
    if (from !== undefined) command.push("--interface", from);
    // --compressed decodes; what is accepted is for the test to say.
    for (const [name, value] of Object.entries({ "Accept-Encoding": "", ...headers })) {
      command.push("-H", value === "" ? `${name}:` : `${name}: ${value}`);
    }
    if (body !== undefined) command.push("--data-binary", "@-");
    return new ProxiedStream([...command, `${this.origin}${path}`], body, isText);
  }
}

/** What a curl reads. Ended by `await using`. */
export class ProxiedStream extends EventReader implements AsyncDisposable {
  status = 0;
  headers = new Headers();
  body = "";
  readonly #child: Bun.Subprocess<Blob | "ignore", "pipe", "pipe">;
  readonly #done: Promise<void>;
  readonly errors: Promise<string>;
  #head = Buffer.alloc(0);

  constructor(command: readonly string[], body: string | undefined, isText: boolean) {
    super();
    const stdin = body === undefined ? "ignore" : new Blob([body]);
    this.#child = Bun.spawn([...command], { stdin, stdout: "pipe", stderr: "pipe" });
    this.errors = new Response(this.#child.stderr).text();
    this.#done = this.#read(isText);
  }

  /** Drops the connection. */
  async cut(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#done;
  }

  /** What curl says of the end: 0, a clean one. */
  get exited(): Promise<number> {
    return this.#child.exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cut();
  }

  async #read(isText: boolean): Promise<void> {
    const decoder = new TextDecoder();
    for await (const piece of this.#child.stdout) {
      const bytes = this.status > 0 ? piece : this.#bodyAfterHead(piece);
      if (isText) this.body += decoder.decode(bytes, { stream: true });
      else this.feed(bytes);
    }
    await this.#child.exited;
    this.end();
  }

  /** Takes what belongs to status line and headers; gives what comes after them. */
  #bodyAfterHead(piece: Uint8Array): Uint8Array {
    this.#head = Buffer.concat([this.#head, piece]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end === -1) return new Uint8Array();
    const [first = "", ...lines] = this.#head.subarray(0, end).toString().split("\r\n");
    for (const line of lines) {
      const colon = line.indexOf(":");
      this.headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    this.status = Number(first.split(" ")[1]);
    return this.#head.subarray(end + 4);
  }
}
