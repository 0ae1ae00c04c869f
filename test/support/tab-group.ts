import { connectionSource } from "../../src/client/connect.ts";
import type { Frame, FrameSource, SourceState } from "../../src/client/frame-source.ts";
import { Gate } from "../../src/client/gate.ts";
import { createTabMember } from "../../src/client/tabs-member.ts";
import type { TabMessage } from "../../src/client/tabs-messages.ts";
import type { Ending, TransportRequest, TransportSink } from "../../src/client/transport.ts";
import { FakeBrowser, type FakeTab, seededChance } from "./fake-tabs.ts";

/** One connection that was made, and how it is fed. */
export interface MadeConnection extends TransportRequest, TransportSink {
  readonly tab: FakeTab;
  readonly send: (type: string, id: string, data?: string) => void;
  readonly cut: () => void;
  /** For good. */
  readonly refuse: () => void;
}

export interface GroupMember {
  readonly tab: FakeTab;
  readonly source: FrameSource;
  readonly frames: Frame[];
  readonly states: SourceState["name"][];
  readonly gate: Gate;
  /** What has come, in short. */
  readonly ids: () => string[];
}

/** A browser in which everything that can happen does so, and time passes when it is told to. */
export class TabGroup {
  readonly browser = new FakeBrowser(seededChance(1));
  readonly connections: MadeConnection[] = [];

  /** Those that are open. */
  get open(): MadeConnection[] {
    return this.connections.filter(({ signal, tab }) => !signal.aborted && !tab.isGone);
  }

  join({
    at,
    hasReplay = false,
    token = () => Promise.resolve<string | undefined>(undefined),
  }: {
    at?: string;
    hasReplay?: boolean;
    token?: () => Promise<string | undefined>;
  } = {}): GroupMember {
    const tab = this.browser.open();
    const frames: Frame[] = [];
    const states: SourceState["name"][] = [];
    const gate = new Gate();
    const source = createTabMember(
      {
        url: "http://127.0.0.1/events",
        types: undefined,
        clock: tab.clock,
        gate,
        token: { isRenewable: true, get: token },
        onFrame: (frame) => frames.push(frame),
        onState: ({ name }) => states.push(name),
      },
      {
        tabs: tab.tabs,
        makeSource: connectionSource({
          transport: () => (request, sink) => this.#connect(tab, request, sink),
        }),
        groupOf: (given = "nobody") => `group of ${given.split(".")[0]}`,
        hasReplay,
        startWorker: () => Promise.resolve(),
      },
    );
    source.start(at);
    const ids = (): string[] => frames.map(({ type, id }) => `${type} ${id}`);
    return { tab, source, frames, states, gate, ids };
  }

  /** Somebody who only listens, and posts what it likes. */
  listen(name = "group of nobody"): { heard: TabMessage[]; post: (message: TabMessage) => void } {
    const heard: TabMessage[] = [];
    const channel = this.browser.open().tabs.openChannel(name);
    // The cast holds: members and hosts post nothing else.
    channel.addEventListener("message", ({ data }) => heard.push(data as TabMessage));
    return { heard, post: (message) => channel.postMessage(message) };
  }

  /** All that needs no time. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 3; idle += 1) {
      await new Promise(setImmediate);
      if (this.browser.isBusy) idle = 0;
      this.browser.step();
    }
  }

  async pass(ms: number): Promise<void> {
    await this.settle();
    const until = this.browser.nowMs + ms;
    while (this.browser.elapse(until)) await this.settle();
    await this.settle();
  }

  /** The one connection that there is, which is as far as this. */
  async live(id: string): Promise<MadeConnection> {
    await this.settle();
    const [connection] = this.open;
    if (!connection || this.open.length !== 1) throw new Error(`${this.open.length} are open`);
    connection.send("connection", id, '{"resumed":false}');
    connection.send("live", id, '{"replayed":0}');
    await this.settle();
    return connection;
  }

  #connect(tab: FakeTab, request: TransportRequest, sink: TransportSink): Promise<Ending> {
    return new Promise<Ending>((resolve, reject) => {
      const send = (type: string, id: string, data = ""): void => sink.onFrame({ type, id, data });
      const cut = (): void => reject(new Error("cut"));
      const why = { reason: "refused", message: "", httpStatus: 403 };
      const refuse = (): void => resolve({ kind: "refused", why });
      this.connections.push({ ...request, ...sink, tab, send, cut, refuse });
      request.signal.addEventListener("abort", reject);
    });
  }
}
