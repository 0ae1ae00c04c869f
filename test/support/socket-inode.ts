import { dlopen, FFIType, ptr } from "bun:ffi";

// <linux/netlink.h>, <linux/sock_diag.h>, <linux/inet_diag.h>
const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const IPPROTO_TCP = 6;
const TCP_LISTEN = 10;
const INET_DIAG_NOCOOKIE = 0xff_ff_ff_ff;
const LOOPBACK = 0x7f_00_00_01;

/** struct nlmsghdr and struct inet_diag_req_v2. */
const REQUEST_BYTES = 16 + 56;

/** Where struct inet_diag_msg has its `idiag_inode`, after struct nlmsghdr. */
const INODE_AT = 16 + 68;

/**
 * The inode of a connected socket of 127.0.0.1 on this machine, by its ports: `/proc/<pid>/fd` says
 * who has it. Asked of the kernel for this one: its table of all sockets takes tens of milliseconds
 * to read where there are thousands. 0 where there is none, or nobody has accepted it yet. Linux only.
 */
export function socketInode(localPort: number, remotePort: number): number {
  const request = new DataView(new ArrayBuffer(REQUEST_BYTES));
  const isLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  request.setUint32(0, REQUEST_BYTES, isLittle);
  request.setUint16(4, SOCK_DIAG_BY_FAMILY, isLittle);
  request.setUint16(6, NLM_F_REQUEST, isLittle);
  request.setUint8(16, AF_INET);
  request.setUint8(17, IPPROTO_TCP);
  request.setUint32(20, 0xff_ff_ff_ff, isLittle);
  // struct inet_diag_sockid: ports and addresses are big-endian.
  request.setUint16(24, localPort);
  request.setUint16(26, remotePort);
  request.setUint32(28, LOOPBACK);
  request.setUint32(44, LOOPBACK);
  for (const at of [64, 68]) request.setUint32(at, INET_DIAG_NOCOOKIE, isLittle);
  const answer = new DataView(ask(request.buffer));
  // Where the connection is gone, the kernel finds who listens there.
  const isFound =
    answer.getUint16(4, isLittle) === SOCK_DIAG_BY_FAMILY && answer.getUint8(17) !== TCP_LISTEN;
  return isFound ? answer.getUint32(INODE_AT, isLittle) : 0;
}

const { i32, u64, ptr: pointer } = FFIType;

const libc = dlopen("libc.so.6", {
  socket: { args: [i32, i32, i32], returns: i32 },
  send: { args: [i32, pointer, u64, i32], returns: FFIType.i64 },
  recv: { args: [i32, pointer, u64, i32], returns: FFIType.i64 },
  close: { args: [i32], returns: i32 },
});

function ask(request: ArrayBuffer): ArrayBuffer {
  const { symbols } = libc;
  const fd = symbols.socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
  if (fd < 0) throw new Error("The kernel cannot be asked for sockets");
  const answer = new ArrayBuffer(4096);
  symbols.send(fd, ptr(request), request.byteLength, 0);
  // It is there already: a netlink message is answered before send returns.
  symbols.recv(fd, ptr(answer), answer.byteLength, 0);
  symbols.close(fd);
  return answer;
}
