import { expect, test } from "bun:test";
import { constants, createInflateRaw, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { MAX_WRITE_BYTES } from "../hub/page.ts";
import { anyBatch, noise } from "../../test/support/batches.ts";
import { deflatedBlocks } from "./gzip-blocks.ts";

test("each batch can be decoded whole when its last byte is there", async () => {
  const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
  const decoded: Buffer[] = [];
  inflate.on("data", (piece: Buffer) => decoded.push(piece));
  const batches = fc.sample(anyBatch, 200).filter(({ byteLength }) => byteLength > 0);
  for (const bytes of batches) {
    decoded.length = 0;
    await new Promise((resolve) => inflate.write(deflatedBlocks(bytes), resolve));
    expect(Buffer.concat(decoded)).toEqual(Buffer.from(bytes));
  }
});

test("a batch's blocks end with the empty block of a sync flush, stored or not", () => {
  const random = noise(MAX_WRITE_BYTES);
  for (const size of [0, 1, 50, 127, 128, 129, 1000, 65_535, 65_536]) {
    for (const bytes of [Buffer.alloc(size, "{}"), random.subarray(0, size)]) {
      const blocks = Buffer.from(deflatedBlocks(bytes));
      expect(blocks.subarray(-5).toString("hex")).toMatch(/..0000ffff$/);
      expect(inflateRawSync(blocks, { finishFlush: constants.Z_SYNC_FLUSH })).toEqual(
        Buffer.from(bytes),
      );
    }
  }
});

test("a short batch is stored, one that deflating makes larger as well", () => {
  const heartbeat = Buffer.from("id: 1~events~k3f9x~1042.998\nevent: heartbeat\ndata: \n\n");
  expect(deflatedBlocks(heartbeat).byteLength).toBe(heartbeat.byteLength + 10);
  expect(Buffer.from(deflatedBlocks(heartbeat)).indexOf(heartbeat)).toBe(5);
  const random = noise(2000);
  expect(deflatedBlocks(random).byteLength).toBe(random.byteLength + 10);
});
