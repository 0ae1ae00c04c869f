import { expect, test } from "bun:test";
import fc from "fast-check";
import { runs } from "../../test/support/effort.ts";
import {
  type FakeEvent,
  FakeLog,
  formatVector,
  parseVector,
  PARTITIONS,
  tokenOf,
  type Vector,
} from "../../test/support/fake-log.ts";
import {
  type Chance,
  FakeBrowser,
  type FakeTab,
  pick,
  seededChance,
} from "../../test/support/fake-tabs.ts";
import { connectionSource } from "./connect.ts";
import type { Frame, FrameSource, SourceState } from "./frame-source.ts";
import { Gate } from "./gate.ts";
import { standForHost } from "./tabs-host.ts";
import { createTabMember } from "./tabs-member.ts";

/** What waits before a member's user closes the gate. */
const INBOX = 4;

/** The bound of the queue: small, so that it overflows. */
const MAX_QUEUED = 6;

/** After so many things that happened, a group that has not come to rest never will. */
const MAX_ROUNDS = 60_000;

interface MemberStart {
  readonly user: string;
  readonly at?: Vector;
  readonly hasWorker: boolean;
  readonly hasReplay: boolean;
}

/** A tab with one member, and what its user has seen. */
class ModelMember {
  readonly tab: FakeTab;
  readonly user: string;
  readonly source: FrameSource;
  readonly gate = new Gate();
  state: SourceState["name"] = "connecting";
  isStarted = true;
  isAway = false;
  isSlow = false;
  events = 0;
  waiting = 0;
  maxWaiting = 0;
  /** What is to come next in each partition; undefined until it is known where the member began. */
  next: [number, number] | undefined;
  readonly #log: FakeLog;

  constructor(model: Model, { user, at, hasWorker, hasReplay }: MemberStart) {
    const { browser, log, chance } = model;
    this.#log = log;
    this.user = user;
    this.tab = browser.open();
    if (at) this.next = [...at];
    // From the earliest on, and that is all there ever was.
    else if (hasReplay) this.next = [0, 0];
    const makeSource = connectionSource({ transport: log.transport(this.tab) });
    this.source = createTabMember(
      {
        url: "http://127.0.0.1/events",
        types: undefined,
        clock: this.tab.clock,
        gate: this.gate,
        token: {
          isRenewable: true,
          get: () =>
            chance() < 0.05
              ? Promise.reject(new Error("no token now"))
              : Promise.resolve(tokenOf(user)),
        },
        onFrame: (frame) => this.#take(frame),
        onState: (state) => {
          // What is said after a stop is a fault.
          if (!this.isStarted) throw new Error(`${state.name} after a stop`);
          this.state = state.name;
          if (state.name === "error") this.stop();
        },
      },
      {
        tabs: this.tab.tabs,
        makeSource,
        groupOf: (token) => `group of ${token}`,
        hasReplay,
        startWorker: (group) => Promise.resolve(hasWorker ? model.startWorker(group) : undefined),
        maxQueued: MAX_QUEUED,
      },
    );
    this.source.start(at && formatVector(at));
  }

  get isAlive(): boolean {
    return !this.tab.isGone && !this.tab.isFrozen && this.isStarted && !this.isAway;
  }

  stop(): void {
    this.isStarted = false;
    this.source.stop();
  }

  startAgain(): void {
    this.isStarted = true;
    this.state = "connecting";
    this.source.start();
  }

  /** Its user takes one frame. */
  takeOne(): void {
    if (this.waiting > 0) this.waiting -= 1;
    if (this.waiting <= INBOX / 2) this.gate.open();
  }

  /** Whether all that it was to get has come. */
  get isComplete(): boolean {
    const { next } = this;
    return next !== undefined && this.#missing(next, this.#log.end) === undefined;
  }

  #take(frame: Frame): void {
    // Of a crashed tab nobody sees anything.
    if (this.tab.isGone) return;
    if (!this.isStarted || this.isAway) throw new Error(`a ${frame.type} after a stop`);
    this.waiting += 1;
    this.maxWaiting = Math.max(this.maxWaiting, this.waiting);
    if (this.waiting >= INBOX) this.gate.close();
    const { next } = this;
    const id = frame.id === "" ? undefined : parseVector(frame.id);
    const said = `${frame.type} ${frame.id} after ${next?.join(".")}: ${frame.data}`;
    if (frame.type === "message") {
      const { partition, offset, user } = JSON.parse(frame.data) as FakeEvent;
      this.events += 1;
      if (user !== this.user) throw new Error(`another user's: ${said}`);
      // Where it began, if this is the first that says so.
      this.next ??= startBefore(partition, offset, id);
      if (offset < this.next[partition]) throw new Error(`twice: ${said}`);
      const upTo: [number, number] = [...this.next];
      upTo[partition] = offset;
      this.#expectNothingMissing(this.next, upTo, said);
      this.next[partition] = offset + 1;
    }
    if (!id) return;
    if (!next || frame.type === "reset") this.next ??= [...id];
    if (frame.type === "reset") {
      // What is gone is passed over, and nothing else.
      const { floor } = this.#log;
      const here = this.next ?? id;
      this.next = [
        Math.max(here[0], Math.min(id[0], floor[0])),
        Math.max(here[1], Math.min(id[1], floor[1])),
      ];
    }
    if (this.next) this.#expectNothingMissing(this.next, id, said);
  }

  #expectNothingMissing(from: Vector, to: Vector, said: string): void {
    const missing = this.#missing(from, to);
    if (missing !== undefined) throw new Error(`${missing} is missing: ${said}`);
    this.next = [Math.max(from[0], to[0]), Math.max(from[1], to[1])];
  }

  #missing(from: Vector, to: Vector): string | undefined {
    for (const partition of PARTITIONS) {
      for (let offset = from[partition]; offset < to[partition]; offset += 1) {
        if (this.#log.events[partition][offset] === true) return `${partition}/${offset}`;
      }
    }
    return undefined;
  }
}

/** Where a stream began whose first frame with an id is this event. */
function startBefore(partition: 0 | 1, offset: number, id: Vector | undefined): [number, number] {
  const start: [number, number] = [id?.[0] ?? 0, id?.[1] ?? 0];
  start[partition] = offset;
  return start;
}

interface Plan {
  readonly seed: number;
  readonly steps: number;
  readonly hasWorker: boolean;
  readonly hasReplay: boolean;
  readonly hasChaos: boolean;
}

class Model {
  readonly chance: Chance;
  readonly browser: FakeBrowser;
  readonly log: FakeLog;
  readonly plan: Plan;
  members: ModelMember[] = [];
  #worker: FakeTab | undefined;
  #serving = new Set<string>();

  constructor(plan: Plan) {
    this.plan = plan;
    this.chance = seededChance(plan.seed);
    this.browser = new FakeBrowser(this.chance);
    this.log = new FakeLog(this.chance, plan);
  }

  startWorker(group: string): void {
    if (!this.#worker || this.#worker.isGone) {
      this.#worker = this.browser.open();
      this.#serving = new Set();
    }
    const { tabs, clock } = this.#worker;
    const serving = this.#serving;
    if (serving.has(group)) return;
    serving.add(group);
    const makeSource = connectionSource({ transport: this.log.transport(this.#worker) });
    const setup = { url: "http://127.0.0.1/events", types: undefined, clock };
    void standForHost(
      { name: group, tabs, clock, connect: (listener) => makeSource({ ...setup, ...listener }) },
      new AbortController().signal,
    ).then(() => serving.delete(group));
  }

  add(): void {
    const { hasWorker, hasReplay } = this.plan;
    const user = this.chance() < 0.8 ? "ann" : "bob";
    const { end, floor } = this.log;
    // Where it was when its page was last open.
    const at: Vector = [
      floor[0] + Math.floor(this.chance() * (end[0] - floor[0] + 1)),
      floor[1] + Math.floor(this.chance() * (end[1] - floor[1] + 1)),
    ];
    const start = { user, hasWorker, hasReplay, ...(this.chance() < 0.4 && { at }) };
    this.members.push(new ModelMember(this, start));
  }

  /** What may happen at any moment. */
  act(): void {
    const { chance, browser, log, plan } = this;
    const what = chance();
    for (const { tab } of this.members) if (!tab.isFrozen && chance() < 0.05) tab.isDeaf = false;
    const member = pick(
      chance,
      this.members.filter(({ tab }) => !tab.isGone),
    );
    if (what < 0.4) browser.step();
    else if (what < 0.62) log.step();
    else if (what < 0.72) log.append();
    else if (what < 0.82) log.spread();
    else if (what < 0.88) this.takeSome();
    else if (what < 0.9) browser.elapse();
    else if (what < 0.91) log.heartbeat();
    else if (what < 0.925) {
      if (this.members.length < 8) this.add();
    } else if (what < 0.935 && member) member.isSlow = !member.isSlow;
    else if (what < 0.94 && member && !member.isAway) {
      if (member.isStarted) member.stop();
      else member.startAgain();
    } else if (plan.hasChaos && member) this.disturb(what, member);
  }

  disturb(what: number, { tab, isStarted }: ModelMember): void {
    const { chance, log, plan } = this;
    const worker = this.#worker;
    if (what < 0.95) log.cut();
    else if (what < 0.953 && !plan.hasReplay) log.trim();
    else if (what < 0.956) log.isDown = !log.isDown;
    else if (what < 0.962) this.crash(tab);
    else if (what < 0.965 && worker) this.crash(worker);
    else if (what < 0.972) tab.freeze({ isDeaf: chance() < 0.5 });
    else if (what < 0.975 && worker) worker.freeze({ isDeaf: chance() < 0.5 });
    else if (what < 0.982) {
      for (const member of this.members) member.tab.thaw();
      worker?.thaw();
    } else if (what < 0.985) {
      // Messages are lost for a while, and nothing else is.
      tab.isDeaf = true;
    } else if (what < 0.99 && isStarted) this.turnPage(tab);
  }

  crash(tab: FakeTab): void {
    tab.crash();
    this.log.forget(tab);
  }

  /** Into the cache, and back. */
  turnPage(tab: FakeTab): void {
    const member = this.members.find((each) => each.tab === tab);
    if (!member || tab.isFrozen) return;
    if (member.isAway) {
      member.isAway = false;
      tab.comeBack();
    } else {
      member.isAway = true;
      tab.leave();
    }
  }

  takeSome(): void {
    for (const member of this.members) if (!member.isSlow) member.takeOne();
  }

  /** Nothing disturbs any longer. Some pages stay frozen for good, with all that they hold. */
  async calm(): Promise<void> {
    const { log, chance } = this;
    log.isDown = false;
    if (chance() < 0.5) this.#worker?.thaw();
    for (const member of this.members) {
      if (chance() < 0.7) member.tab.thaw();
      member.isSlow = false;
      if (member.isAway && member.isStarted) this.turnPage(member.tab);
      if (chance() < 0.3 && member.isStarted) member.stop();
    }
    await this.settle();
  }

  /** Until all have all, over one connection for each user that is there. */
  async settle(): Promise<void> {
    const { browser, log } = this;
    // Time passes only while nothing is on its way, and a member may have to wait for its next attempt.
    for (let round = 0; round < MAX_ROUNDS && !this.isSettled; round += 1) {
      this.takeSome();
      log.spread();
      log.step();
      if (browser.isBusy) browser.step();
      else if (round % 3 === 0) browser.elapse();
      if (round % 7 === 0) log.heartbeat();
      await settled();
    }
    const { alive, isSettled } = this;
    const states = alive.map(({ state, isComplete }) => `${state} ${isComplete}`);
    if (!isSettled) throw new Error(`${this.openStreams} streams for ${states.join(", ")}`);
  }

  get openStreams(): number {
    return this.log.streams.filter(({ tab }) => !tab.isFrozen).length;
  }

  get alive(): ModelMember[] {
    return this.members.filter(({ isAlive }) => isAlive);
  }

  get isSettled(): boolean {
    const users = new Set(this.alive.map(({ user }) => user));
    return (
      this.openStreams === users.size &&
      this.alive.every(({ isComplete, state }) => isComplete && state === "open")
    );
  }
}

/** Once all that needs no time and no message has been done. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

async function run(plan: Plan): Promise<void> {
  const model = new Model(plan);
  for (let index = 0; index < 5; index += 1) model.log.append();
  model.add();
  for (let step = 0; step < plan.steps; step += 1) {
    model.act();
    await settled();
  }
  await model.calm();
  for (const { maxWaiting } of model.members) {
    // What the gate had let in, what was told together, and the queue.
    expect(maxWaiting).toBeLessThan(20);
  }
  // With the last of them the connection goes.
  for (const member of model.alive) member.stop();
  await model.settle();
}

test("each member gets each event once and in order, whatever becomes of the others and of the host", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      async (seed, hasWorker, hasReplay, hasChaos) => {
        await run({ seed, steps: 1500, hasWorker, hasReplay, hasChaos });
      },
    ),
    { numRuns: runs(60), endOnFailure: true },
  );
});
