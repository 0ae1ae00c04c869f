import { connect, createServer, type Server, type Socket } from "node:net";
import { Arrivals } from "./arrivals.ts";

/**
 * A line to a server that a test cuts, while the server stays up: TCP, byte for byte. Clients find it
 * as they find a machine whose process died: what they hold breaks off, and nobody lets them in.
 */
export class CutProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #serverPort: number;
  readonly #lines = new Set<Line>();
  readonly #arrivals = new Arrivals();
  #isDown = false;
  /** How many more bytes of the server's may pass before the cut; infinite while none is wanted. */
  #left = Infinity;
  #refused = 0;

  private constructor(serverPort: number) {
    this.#serverPort = serverPort;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(serverPort: number): Promise<CutProxy> {
    const proxy = new CutProxy(serverPort);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) throw new Error("Not listening");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Lets so many more bytes of the server's pass, ends every connection right behind them, and stays down. */
  cutAfter(bytes: number): void {
    this.#left = bytes;
  }

  /** Lets clients in again. */
  up(): void {
    this.#isDown = false;
    this.#left = Infinity;
  }

  /** Resolves when it has been cut. */
  async wasCut(): Promise<void> {
    await this.#until(() => this.#isDown);
  }

  /** Resolves when so many connections were refused in all. */
  async hasRefused(count: number): Promise<void> {
    await this.#until(() => this.#refused >= count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client, server } of this.#lines) {
      client.destroy();
      server.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    // What resets a connection, on either side, ends it: nobody here is to be told.
    client.on("error", () => client.destroy());
    if (this.#isDown) {
      client.destroy();
      this.#refused += 1;
      this.#arrivals.note();
      return;
    }
    const server = connect(this.#serverPort, "127.0.0.1");
    server.on("error", () => server.destroy());
    const line = { client, server };
    this.#lines.add(line);
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes) => this.#pass(line, Buffer.from(bytes)));
    client.on("close", () => server.destroy());
    server.on("close", () => {
      client.end();
      this.#lines.delete(line);
    });
  }

  #pass({ client }: Line, bytes: Buffer): void {
    if (this.#isDown) return;
    client.write(bytes.subarray(0, this.#left));
    this.#left -= bytes.byteLength;
    if (this.#left > 0) return;
    this.#isDown = true;
    for (const { client: each, server } of this.#lines) {
      each.end();
      server.destroy();
    }
    this.#arrivals.note();
  }

  #until(isTrue: () => boolean): Promise<void> {
    const describe = (): readonly string[] => [`${this.#left} left, ${this.#refused} refused`];
    return this.#arrivals.until(isTrue, { deadlineMs: 30_000, describe });
  }
}

interface Line {
  readonly client: Socket;
  readonly server: Socket;
}
