import { expect, test } from "bun:test";
import { ByteReader, ByteWriter } from "./wire.ts";

test("what is written is read again, however long it gets", () => {
  const writer = new ByteWriter();
  const numbers = Array.from({ length: 300 }, (_, i) => i * 1_000_003);
  writer.compactArray(numbers, (number) => {
    writer.int32(number).int64(number).int16(7).int8(-1).compactString(`n${number}`);
  });
  const reader = new ByteReader(writer.done());
  const read = reader.compactArray(() => {
    const number = reader.int32();
    expect(reader.int64()).toBe(number);
    expect(reader.int16()).toBe(7);
    expect(reader.int8()).toBe(-1);
    expect(reader.compactString()).toBe(`n${number}`);
    return number;
  });
  expect(read).toEqual(numbers);
});
