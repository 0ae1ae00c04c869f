import { createConnection, type Socket } from "node:net";
import { constants, crc32, createGunzip } from "node:zlib";
import type { Settings } from "./server.ts";
import { EventReader } from "./subscriber.ts";

interface GzipReaderOptions {
  readonly headers?: Settings;
}

/**
 * A stream as it is on the wire: a socket, and a decoder that gives what it can as soon as it can.
 * Nothing in between decodes, buffers, or forgives a missing end. Cut by `await using`.
 */
export class GzipReader extends EventReader implements AsyncDisposable {
  readonly socket: Socket;
  /** Status line and headers, in lower case. */
  head = "";
  /** Why decoding ended, where it was not at a right trailer. */
  failure: Error | undefined;
  readonly #inflate = createGunzip({ flush: constants.Z_SYNC_FLUSH });
  readonly #raw: Buffer[] = [];
  readonly #decoded: Buffer[] = [];
  #received = Buffer.alloc(0);
  #text = "";

  private constructor(socket: Socket) {
    super();
    this.socket = socket;
    socket.on("data", (bytes) => this.#onData(Buffer.from(bytes)));
    // A reset is an end without a trailer.
    socket.on("error", () => this.#inflate.end());
    socket.on("close", () => this.#inflate.end());
    this.#inflate.on("data", (bytes: Buffer) => {
      this.#decoded.push(bytes);
      this.#text += bytes.toString("latin1");
      this.feed(bytes);
    });
    this.#inflate.on("end", () => this.end());
    this.#inflate.on("error", (error) => {
      this.failure = error;
      this.end();
    });
  }

  /** Opens a stream; `target` is a path with its query. */
  static async open(
    port: number,
    target = "/events",
    { headers = {} }: GzipReaderOptions = {},
  ): Promise<GzipReader> {
    const socket = createConnection(port, "127.0.0.1");
    const reader = new GzipReader(socket);
    const all = { Host: "localhost", "Accept-Encoding": "gzip", ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${target} HTTP/1.1\r\n${lines.join("")}\r\n`);
    await reader.until(() => reader.#decoded.length > 0 || reader.isEnded);
    return reader;
  }

  /** The same, and waits until it has caught up. */
  static async live(...args: Parameters<typeof GzipReader.open>): Promise<GzipReader> {
    const reader = await GzipReader.open(...args);
    await reader.first("live");
    return reader;
  }

  /** What came, decoded; each byte a character. */
  get text(): string {
    return this.#text;
  }

  /** Bytes of the body on the wire, without the chunks' frames. */
  get wireBytes(): number {
    return Buffer.concat(this.#raw).byteLength;
  }

  /** Whether the body ends with [RFC 1952 §2.3.1] the CRC-32 and the length of what it held, and nothing more. */
  get hasRightTrailer(): boolean {
    const raw = Buffer.concat(this.#raw);
    const decoded = Buffer.concat(this.#decoded);
    return (
      raw.readUInt32LE(raw.byteLength - 8) === crc32(decoded) &&
      raw.readUInt32LE(raw.byteLength - 4) === decoded.byteLength
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
  }

  #onData(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    if (this.head === "") {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end === -1) return;
      this.head = this.#received.subarray(0, end).toString().toLowerCase();
      this.#received = this.#received.subarray(end + 4);
    }
    // [RFC 9112 §7.1] Each chunk: its size, its bytes.
    for (;;) {
      const end = this.#received.indexOf("\r\n");
      const size = Number.parseInt(this.#received.subarray(0, Math.max(end, 0)).toString(), 16);
      const next = end + 2 + size + 2;
      if (end === -1 || this.#received.byteLength < next) return;
      const chunk = this.#received.subarray(end + 2, next - 2);
      this.#received = this.#received.subarray(next);
      this.#raw.push(chunk);
      if (size > 0) this.#inflate.write(chunk);
      else this.#inflate.end();
    }
  }
}
