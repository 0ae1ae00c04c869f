import { expect, test } from "bun:test";
import { settled } from "../../test/support/manual-clock.ts";
import { Gate } from "./gate.ts";
import { createInbox, type Inbox } from "./inbox.ts";

const put = (inbox: Inbox, id: string, characters = 0): void =>
  inbox.put({ type: "message", id, data: "x".repeat(characters) });

test("a full inbox closes the gate, and one that is half empty opens it again", async () => {
  const gate = new Gate();
  const inbox = createInbox(gate, 4);
  for (const id of ["1", "2", "3"]) put(inbox, id);
  expect(gate.isOpen).toBe(true);
  // What had been read already is kept, however much it is.
  for (const id of ["4", "5", "6"]) put(inbox, id);
  const seen: [string | undefined, boolean][] = [];
  for (let n = 0; n < 6; n += 1) seen.push([(await inbox.take())?.id, gate.isOpen]);
  expect(seen).toEqual([
    ["1", false],
    ["2", false],
    ["3", false],
    ["4", false],
    ["5", true],
    ["6", true],
  ]);
});

test("few events that are large fill it as well", async () => {
  const gate = new Gate();
  const inbox = createInbox(gate, 1000);
  for (let n = 1; n <= 7; n += 1) put(inbox, `${n}`, 1 << 20);
  expect(gate.isOpen).toBe(true);
  put(inbox, "8", 1 << 20);
  expect(gate.isOpen).toBe(false);
  for (let n = 1; n <= 4; n += 1) {
    expect(gate.isOpen).toBe(false);
    await inbox.take();
  }
  await inbox.take();
  expect(gate.isOpen).toBe(true);
});

test("an inbox of one event lets one in at a time", async () => {
  const gate = new Gate();
  const inbox = createInbox(gate, 1);
  for (let n = 0; n < 3; n += 1) {
    expect(gate.isOpen).toBe(true);
    put(inbox, `${n}`);
    expect(gate.isOpen).toBe(false);
    expect((await inbox.take())?.id).toBe(`${n}`);
  }
  expect(gate.isOpen).toBe(true);
});

test("who waits gets what comes; after the end, what had come, and then nothing", async () => {
  const inbox = createInbox(new Gate(), 10);
  const waiting = inbox.take();
  put(inbox, "1");
  expect((await waiting)?.id).toBe("1");
  put(inbox, "2");
  inbox.end();
  expect((await inbox.take())?.id).toBe("2");
  expect(await inbox.take()).toBeUndefined();
  const emptied = createInbox(new Gate(), 10);
  put(emptied, "1");
  emptied.clear();
  emptied.end();
  expect(await emptied.take()).toBeUndefined();
});

test("who waits at a gate goes on when it opens, each time that it was closed", async () => {
  const gate = new Gate();
  let passed = 0;
  const pass = async (): Promise<void> => {
    await gate.opened();
    passed += 1;
  };
  await pass();
  gate.open();
  for (let round = 1; round <= 3; round += 1) {
    gate.close();
    gate.close();
    expect(gate.isOpen).toBe(false);
    const both = Promise.all([pass(), pass()]);
    await settled();
    expect(passed).toBe(round * 2 - 1);
    gate.open();
    await both;
    expect(passed).toBe(round * 2 + 1);
  }
});
