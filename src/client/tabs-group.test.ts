import { describe, expect, test } from "bun:test";
import { TabGroup } from "../../test/support/tab-group.ts";
import type { Hello } from "./tabs-messages.ts";

describe("a group of tabs", () => {
  test("that open together, each at the same position, is one connection from there", async () => {
    const group = new TabGroup();
    const members = Array.from({ length: 8 }, () => group.join({ at: "5" }));
    const connection = await group.live("5");
    connection.send("message", "6");
    await group.settle();
    expect(group.connections.map(({ lastEventId }) => lastEventId)).toEqual(["5"]);
    const all = ["connection 5", "live 5", "message 6"];
    for (const { ids, states } of members) {
      expect(ids()).toEqual(all);
      expect(states.at(-1)).toBe("open");
    }
  });

  test("shares the replay that all of them want", async () => {
    const group = new TabGroup();
    const members = Array.from({ length: 8 }, () => group.join({ hasReplay: true }));
    await group.settle();
    const [connection] = group.open;
    connection?.send("connection", "");
    connection?.send("message", "3");
    await group.settle();
    expect(group.connections).toHaveLength(1);
    for (const { ids } of members) expect(ids()).toEqual(["connection ", "message 3"]);
  });

  test("needs no time for its first connection", async () => {
    const group = new TabGroup();
    group.join();
    await group.settle();
    expect(group.browser.nowMs).toBe(0);
    expect(group.open).toHaveLength(1);
  });

  test("goes on after its host with one connection from where all of them are", async () => {
    const group = new TabGroup();
    const first = group.join();
    await group.settle();
    const others = [group.join(), group.join()];
    const connection = await group.live("1");
    connection.send("message", "2");
    await group.settle();
    first.tab.crash();
    await group.settle();
    expect(group.connections.map(({ lastEventId }) => lastEventId)).toEqual([undefined, "2"]);
    const [next] = group.open;
    next?.send("connection", "2");
    next?.send("message", "3");
    await group.settle();
    for (const { ids } of others) {
      expect(ids().slice(-3)).toEqual(["message 2", "connection 2", "message 3"]);
    }
  });

  test("goes on from what a slow member has waiting, too", async () => {
    const group = new TabGroup();
    const host = group.join();
    await group.settle();
    const slow = group.join();
    const connection = await group.live("1");
    slow.gate.close();
    connection.send("message", "2");
    await group.settle();
    expect(slow.ids()).toEqual(["connection 1", "live 1"]);
    host.tab.crash();
    await group.settle();
    expect(group.open.map(({ lastEventId }) => lastEventId)).toEqual(["2"]);
    slow.gate.open();
    await group.settle();
    expect(slow.ids()).toEqual(["connection 1", "live 1", "message 2"]);
    expect(group.connections).toHaveLength(2);
  });

  test("has no connection once the last has stopped, and another one when it starts again", async () => {
    const group = new TabGroup();
    const [first, second] = [group.join(), group.join()];
    const connection = await group.live("1");
    first.source.stop();
    await group.settle();
    await group.live("1");
    second.source.stop();
    await group.settle();
    expect(connection.signal.aborted).toBe(true);
    expect(group.open).toEqual([]);
    second.source.start();
    await group.settle();
    expect(group.open.map(({ lastEventId }) => lastEventId)).toEqual(["1"]);
  });

  test("ends in error where its connection is refused; who comes later asks afresh", async () => {
    const group = new TabGroup();
    const members = [group.join(), group.join()];
    const connection = await group.live("1");
    for (const { source, states } of members.slice(1)) {
      // As a stream does. The first is slow to.
      states.push = (name) => {
        if (name === "error") source.stop();
        return Array.prototype.push.call(states, name);
      };
    }
    connection.refuse();
    await group.settle();
    for (const { states } of members) expect(states.at(-1)).toBe("error");
    expect(group.open).toEqual([]);
    const late = group.join();
    await group.settle();
    const next = group.open.find(({ tab }) => tab === late.tab);
    next?.send("connection", "2");
    await group.settle();
    expect(late.states).not.toContain("error");
    expect(late.states.at(-1)).toBe("open");
  });

  test("takes over from a page that holds its lock and says nothing", async () => {
    const group = new TabGroup();
    const first = group.join();
    const connection = await group.live("1");
    const other = group.join();
    await group.settle();
    first.tab.freeze();
    await group.pass(60_000);
    const next = group.open.find(({ tab }) => tab !== first.tab);
    expect(next?.tab).toBe(other.tab);
    next?.send("connection", "1");
    next?.send("message", "2");
    // The page wakes up: what it says is no longer heard, and it stands in line.
    first.tab.thaw();
    connection.send("message", "2");
    await group.pass(1000);
    expect(connection.signal.aborted).toBe(true);
    expect(other.ids().filter((id) => id === "message 2")).toEqual(["message 2"]);
    other.tab.crash();
    await group.settle();
    expect(group.open.map(({ tab }) => tab)).toEqual([first.tab]);
  });
});

describe("a member", () => {
  test("that comes later without a position begins where the host is, and makes no connection", async () => {
    const group = new TabGroup();
    group.join();
    const connection = await group.live("7");
    const late = group.join();
    await group.settle();
    expect(late.ids()).toEqual(["connection 7", "live 7"]);
    expect(late.states.at(-1)).toBe("open");
    connection.send("message", "8");
    await group.settle();
    expect(late.ids().at(-1)).toBe("message 8");
    expect(group.connections).toHaveLength(1);
  });

  test("that comes later without a position gets nothing of the past that the host is catching up with", async () => {
    const group = new TabGroup();
    group.join({ at: "1" });
    await group.settle();
    group.open[0]?.send("connection", "1");
    group.open[0]?.send("message", "2");
    const late = group.join();
    await group.settle();
    group.open[0]?.send("message", "3");
    await group.settle();
    expect(late.ids()).toEqual([]);
    expect(group.open[1]?.lastEventId).toBeUndefined();
  });

  test("that wants a replay gets it over a connection of its own, which then ends", async () => {
    const group = new TabGroup();
    group.join({ at: "7", hasReplay: true });
    await group.live("7");
    const late = group.join({ hasReplay: true });
    await group.settle();
    const [, own] = group.open;
    own?.send("connection", "");
    own?.send("message", "6");
    own?.send("message", "7");
    await group.settle();
    expect(own?.signal.aborted).toBe(true);
    expect(late.ids()).toEqual(["connection ", "message 6", "message 7"]);
  });

  test("with a position of before gets the rest over a connection of its own, and then the host's", async () => {
    const group = new TabGroup();
    group.join({ at: "3" });
    const connection = await group.live("3");
    const late = group.join({ at: "1" });
    await group.settle();
    connection.send("message", "4");
    connection.send("message", "5");
    await group.settle();
    const [, own] = group.open;
    expect(own?.lastEventId).toBe("1");
    for (const id of ["2", "3", "4"]) own?.send("message", id);
    await group.settle();
    // As soon as they meet, and without waiting for anything else.
    expect(own?.signal.aborted).toBe(true);
    expect(late.ids()).toEqual(["2", "3", "4", "5"].map((id) => `message ${id}`));
  });

  test("that is ahead of the host waits for it", async () => {
    const group = new TabGroup();
    group.join({ at: "1" });
    const connection = await group.live("1");
    const ahead = group.join({ at: "3" });
    await group.settle();
    const [, own] = group.open;
    own?.send("connection", "3");
    for (const id of ["2", "3", "4"]) connection.send("message", id);
    await group.settle();
    expect(own?.signal.aborted).toBe(true);
    expect(ahead.ids()).toEqual(["connection 3", "message 4"]);
  });

  test("that has missed messages knows it by their count", async () => {
    const group = new TabGroup();
    group.join();
    const connection = await group.live("1");
    const other = group.join();
    await group.settle();
    other.tab.isDeaf = true;
    connection.send("message", "2");
    await group.settle();
    other.tab.isDeaf = false;
    connection.send("message", "3");
    await group.settle();
    const [, own] = group.open;
    expect(own?.lastEventId).toBe("1");
    for (const id of ["2", "3"]) own?.send("message", id);
    connection.send("message", "4");
    await group.settle();
    expect(other.ids().slice(2)).toEqual(["2", "3", "4"].map((id) => `message ${id}`));
    expect(group.open).toEqual([connection]);
  });

  test("follows no host that has been replaced", async () => {
    const group = new TabGroup();
    const member = group.join();
    const connection = await group.live("1");
    const { heard, post } = group.listen();
    connection.send("heartbeat", "1");
    await group.settle();
    // As many as it has got.
    const n = heard.reduce((count, said) => (said.kind === "items" ? said.n + 1 : count), 0);
    post({ kind: "items", term: 0.5, n, items: [{ type: "message", id: "9", data: "" }] });
    await group.settle();
    const state = { name: "open" } as const;
    const hello = { kind: "hello", n: 0, at: "9", state, notice: "{}", isLive: true } as const;
    post({ ...hello, term: 0.5 } satisfies Hello);
    await group.settle();
    connection.send("message", "2");
    await group.settle();
    expect(member.ids()).toEqual(["connection 1", "live 1", "heartbeat 1", "message 2"]);
    // It is told, in case that it is the one that holds the lock.
    expect(heard.map(({ kind }) => kind)).toContain("join");
  });

  test("has a connection of its own while there is no host, and cannot be one", async () => {
    const group = new TabGroup();
    const { browser } = group;
    const request = browser.request.bind(browser);
    browser.request = (tab, name, ...rest) =>
      name === "group of nobody" ? new Promise(() => undefined) : request(tab, name, ...rest);
    const member = group.join({ at: "1" });
    await group.settle();
    expect(group.open).toEqual([]);
    await group.pass(10_000);
    expect(group.open.map(({ lastEventId }) => lastEventId)).toEqual(["1"]);
    group.open[0]?.send("message", "2");
    expect(member.ids()).toEqual(["message 2"]);
  });

  test("has a connection of its own at once where locks are refused", async () => {
    const group = new TabGroup();
    group.browser.request = () => Promise.reject(new DOMException("no", "SecurityError"));
    group.join({ at: "1" });
    await group.settle();
    expect(group.browser.nowMs).toBe(0);
    expect(group.open.map(({ lastEventId }) => lastEventId)).toEqual(["1"]);
  });

  test("has the host try again at once", async () => {
    const group = new TabGroup();
    group.join();
    await group.settle();
    const other = group.join();
    const connection = await group.live("1");
    connection.cut();
    await group.settle();
    expect(other.states.at(-1)).toBe("reconnecting");
    other.source.retryNow();
    await group.settle();
    expect(group.browser.nowMs).toBe(0);
    expect(group.connections).toHaveLength(2);
  });

  test("that fails to give a token has the host try again later", async () => {
    const group = new TabGroup();
    let fails = false;
    const token = (): Promise<string> =>
      fails ? Promise.reject(new Error("signed out")) : Promise.resolve("ann.1");
    const member = group.join({ token });
    const connection = await group.live("1");
    fails = true;
    connection.cut();
    await group.pass(6000);
    expect(group.connections).toHaveLength(1);
    expect(member.states.at(-1)).toBe("reconnecting");
    fails = false;
    await group.pass(30_000);
    expect(group.open.map((made) => made.token)).toEqual(["ann.1"]);
  });

  test("gives the host its token, and the next one is asked where it is gone", async () => {
    const group = new TabGroup();
    const gives = (token: string) => (): Promise<string> => Promise.resolve(token);
    group.join({ token: gives("user.1") });
    await group.settle();
    expect(group.open.map(({ token }) => token)).toEqual(["user.1"]);
    let isAsked = 0;
    const never = group.join({
      token: () => (++isAsked === 1 ? Promise.resolve("user.2") : new Promise(() => undefined)),
    });
    await group.settle();
    group.open[0]?.cut();
    await group.pass(6000);
    expect(isAsked).toBe(2);
    never.tab.crash();
    const { nowMs } = group.browser;
    await group.settle();
    expect(group.browser.nowMs).toBe(nowMs);
    expect(group.open.map(({ token }) => token)).toEqual(["user.1"]);
  });

  test("moves to another group with another user, whose token no other gets", async () => {
    const group = new TabGroup();
    let user = "ann";
    const ann = group.join({ token: () => Promise.resolve("ann.1") });
    await group.live("1");
    const changing = group.join({ token: () => Promise.resolve(`${user}.2`) });
    await group.settle();
    expect(group.open).toHaveLength(1);
    const { heard } = group.listen("group of ann");
    user = "bob";
    group.open[0]?.cut();
    await group.pass(30_000);
    const open = group.open.map(({ token, lastEventId }) => `${token} after ${lastEventId}`);
    expect(open.toSorted()).toEqual(["ann.1 after 1", "bob.2 after 1"]);
    const tokens = heard.flatMap((message) => (message.kind === "token" ? [message.token] : []));
    expect(tokens).toEqual(["ann.1"]);
    group.open.find(({ token }) => token === "bob.2")?.send("message", "2");
    await group.settle();
    expect(changing.ids().at(-1)).toBe("message 2");
    expect(ann.ids().at(-1)).toBe("live 1");
  });

  test("is no member while its page is in the cache", async () => {
    const group = new TabGroup();
    const first = group.join();
    const connection = await group.live("1");
    first.tab.leave();
    await group.settle();
    expect(connection.signal.aborted).toBe(true);
    expect(group.browser.heldNames()).toEqual([]);
    first.tab.comeBack();
    await group.settle();
    expect(group.open.map(({ lastEventId }) => lastEventId)).toEqual(["1"]);
  });
});
