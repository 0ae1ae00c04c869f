import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Logger } from "../logger.ts";

// <asm-generic/socket.h>, <linux/tcp.h>
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
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
    const fds = listeningSockets(port);
    const libc = dlopen(findLibc(), {
      setsockopt: {
        args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
        returns: FFIType.i32,
      },
    });
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

/** Our file descriptors that listen on a TCP port, by way of /proc: Bun does not give them away. */
function listeningSockets(port: number): number[] {
  const inodes = new Set<string>();
  for (const table of ["/proc/self/net/tcp", "/proc/self/net/tcp6"]) {
    for (const line of readFileSync(table, "utf8").split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const isListening = state === "0A";
      if (isListening && Number.parseInt(local.split(":")[1] ?? "", 16) === port) inodes.add(inode);
    }
  }
  return readdirSync("/proc/self/fd")
    .filter((fd) => {
      try {
        const [, inode = ""] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
        return inodes.has(inode);
      } catch {
        // The descriptor that read the directory is closed by now.
        return false;
      }
    })
    .map(Number);
}

function findLibc(): string {
  const musl = readdirSync("/lib").find((name) => name.startsWith("libc.musl-"));
  return musl ?? "libc.so.6";
}
