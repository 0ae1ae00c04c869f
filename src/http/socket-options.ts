import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readlinkSync } from "node:fs";
import type { Logger } from "../logger.ts";

// <asm-generic/socket.h>, <linux/tcp.h>
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_ACCEPTCONN = 30;
const IPPROTO_TCP = 6;
const TCP_USER_TIMEOUT = 18;

/**
 * What the kernel holds for one peer that does not read: enough for a burst, far from the 4 MB it
 * would grow to, of which 1,000 stalled peers exhaust the memory of TCP for everybody.
 */
const SEND_BUFFER_BYTES = 128 * 1024;

/**
 * Sets, on the listening socket, what accepted ones inherit: a bounded send buffer, and
 * TCP_USER_TIMEOUT, by which the kernel ends a connection whose peer has acknowledged nothing for
 * `maxStallMs` (a peer that stopped reading as much as one that vanished).
 *
 * Bun has no option for either. Returns false where it cannot be done (not Linux, no libc to call).
 */
export function setSocketOptions(port: number, maxStallMs: number, logger: Logger): boolean {
  if (process.platform !== "linux") return false;
  try {
    const libc = openLibc();
    const fds = ownSockets().filter((fd) => isListening(libc, fd, port));
    const set = (fd: number, level: number, option: number, value: number): boolean =>
      libc.symbols.setsockopt(fd, level, option, ptr(new Int32Array([value])), 4) === 0;
    const isSet = fds.map(
      (fd) =>
        set(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES) &&
        set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, maxStallMs),
    );
    libc.close();
    if (isSet.length > 0 && isSet.every(Boolean)) return true;
  } catch (error) {
    logger.debug({ err: error }, "socket options could not be set");
  }
  logger.warn("kernel send buffers are not bounded: stalled clients cost more memory");
  return false;
}

type Libc = ReturnType<typeof openLibc>;

/** The type follows from the symbols. */
function openLibc() {
  const { i32, u32, ptr: pointer } = FFIType;
  return dlopen(findLibc(), {
    setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
    getsockopt: { args: [i32, i32, i32, pointer, pointer], returns: i32 },
    getsockname: { args: [i32, pointer, pointer], returns: i32 },
  });
}

/** Our file descriptors that are sockets, by way of /proc: Bun does not give them away. */
function ownSockets(): number[] {
  return readdirSync("/proc/self/fd")
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
      } catch {
        // The descriptor that read the directory is closed by now.
        return false;
      }
    })
    .map(Number);
}

/** Asked of the socket itself: the table of all sockets takes long to read where there are many. */
function isListening({ symbols }: Libc, fd: number, port: number): boolean {
  const value = new Int32Array(1);
  const length = new Uint32Array([value.byteLength]);
  symbols.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, ptr(value), ptr(length));
  if (value[0] !== 1) return false;
  // struct sockaddr_in and sockaddr_in6 both begin with the family, 2 bytes, and the port, big-endian.
  const address = new DataView(new ArrayBuffer(SOCKADDR_BYTES));
  length[0] = SOCKADDR_BYTES;
  symbols.getsockname(fd, ptr(address.buffer), ptr(length));
  return address.getUint16(2) === port;
}

/** struct sockaddr_storage: room for an address of any family. */
const SOCKADDR_BYTES = 128;

function findLibc(): string {
  const musl = readdirSync("/lib").find((name) => name.startsWith("libc.musl-"));
  return musl ?? "libc.so.6";
}
