import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { EventReader } from "./subscriber.ts";

/** A peer that speaks HTTP byte by byte: for requests and faults that fetch cannot make. */
export class RawPeer implements AsyncDisposable {
  /** What the response's body holds so far, read as an event stream. */
  readonly stream = new EventReader();
  readonly socket: Socket;
  /** Sizes of the pieces in which the body came. */
  readonly chunks: number[] = [];
  #head = "";
  #body = Buffer.alloc(0);
  #received = Buffer.alloc(0);
  #isChunked = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => this.#onData(Buffer.from(bytes)));
    // A reset is an end like any other: the test looks at what came before.
    socket.on("error", () => this.stream.end());
    socket.on("close", () => this.stream.end());
  }

  /** Connects, and sends these bytes. */
  static async send(port: number, request: string | Uint8Array): Promise<RawPeer> {
    const socket = createConnection(port, "127.0.0.1");
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    const peer = new RawPeer(socket);
    socket.write(request);
    return peer;
  }

  /** A stream opened by a minimal GET. */
  static async subscribe(port: number, target = "/events", headers = ""): Promise<RawPeer> {
    const request = `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
    const peer = await RawPeer.send(port, request);
    await peer.answered();
    return peer;
  }

  get status(): number {
    return Number(this.#head.split(" ")[1] ?? 0);
  }

  /** Status line and headers. */
  get head(): string {
    return this.#head;
  }

  get body(): string {
    return this.#body.toString();
  }

  async answered(): Promise<void> {
    await this.stream.until(() => this.#head !== "" || this.stream.isEnded);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
  }

  #onData(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    if (this.#head === "") {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end === -1) return;
      this.#head = this.#received.subarray(0, end).toString();
      this.#received = this.#received.subarray(end + 4);
      this.#isChunked = /^transfer-encoding: chunked/im.test(this.#head);
    }
    this.#takeBody();
  }

  #takeBody(): void {
    if (!this.#isChunked) {
      this.#deliver(this.#received);
      this.#received = Buffer.alloc(0);
      return;
    }
    for (;;) {
      const end = this.#received.indexOf("\r\n");
      const size = Number.parseInt(this.#received.subarray(0, Math.max(end, 0)).toString(), 16);
      if (end === -1 || this.#received.byteLength < end + 2 + size + 2) return;
      this.#deliver(this.#received.subarray(end + 2, end + 2 + size));
      this.#received = this.#received.subarray(end + 2 + size + 2);
      if (size === 0) this.stream.end();
    }
  }

  #deliver(piece: Buffer): void {
    if (piece.byteLength > 0) this.chunks.push(piece.byteLength);
    this.#body = Buffer.concat([this.#body, piece]);
    this.stream.feed(piece);
  }
}

/** A subscriber that has read its first events and then takes nothing more: its window closes. */
export async function stalledReader(port: number, target = "/events"): Promise<RawPeer> {
  const peer = await RawPeer.subscribe(port, target);
  await peer.stream.first("live");
  peer.socket.pause();
  return peer;
}

// <asm-generic/socket.h>
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

/**
 * A subscriber whose cable is pulled: a filter on its socket drops every segment that arrives, so
 * that its kernel acknowledges nothing and resets nothing. Linux only.
 */
export async function halfOpenPeer(port: number): Promise<RawPeer> {
  const peer = await RawPeer.subscribe(port);
  await peer.stream.first("live");
  // struct sock_filter { BPF_RET | BPF_K, 0, 0, 0 }: keep 0 bytes of each packet.
  const instruction = new Uint8Array([6, 0, 0, 0, 0, 0, 0, 0]);
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const program = new BigUint64Array([1n, BigInt(ptr(instruction))]);
  setSocketOption(descriptorOf(peer.socket), SO_ATTACH_FILTER, program);
  return peer;
}

function setSocketOption(fd: number, option: number, value: BigUint64Array): void {
  const libc = dlopen("libc.so.6", {
    setsockopt: {
      args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
      returns: FFIType.i32,
    },
  });
  const result = libc.symbols.setsockopt(fd, SOL_SOCKET, option, ptr(value), value.byteLength);
  libc.close();
  if (result !== 0) throw new Error(`setsockopt ${option} failed on descriptor ${fd}`);
}

/** The descriptor of a connected socket, by its local port: Bun does not give it away. */
function descriptorOf({ localPort = 0, remotePort = 0 }: Socket): number {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, "0");
  const row = readFileSync("/proc/self/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find(
      ([, local = "", remote = ""]) =>
        local.endsWith(`:${hex(localPort)}`) && remote.endsWith(`:${hex(remotePort)}`),
    );
  const inode = row?.[9];
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === `socket:[${inode}]`) return Number(fd);
    } catch {
      // The descriptor that read the directory is closed by now.
    }
  }
  throw new Error(`No descriptor has the local port ${localPort}`);
}
