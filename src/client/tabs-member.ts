import type { MakeSource, SourceSetup } from "./event-stream.ts";
import type { Frame, FrameSource, SourceState } from "./frame-source.ts";
import { Gate } from "./gate.ts";
import { watchSilence } from "./silence.ts";
import type { Tabs } from "./tabs-browser.ts";
import { enterGroup, type Membership } from "./tabs-membership.ts";
import type { Hello, Items } from "./tabs-messages.ts";
import { createQueue } from "./tabs-queue.ts";
import type { TokenSource } from "./token-source.ts";

export interface MemberOptions {
  readonly tabs: Tabs;
  /** Makes connections of its own, and the group's where it is the host. */
  readonly makeSource: MakeSource;
  /** Which group a token belongs to. */
  readonly groupOf: (token: string | undefined) => string;
  /** Whether a stream without a position begins with events of the past. */
  readonly hasReplay: boolean;
  /** Has a worker stand for host; resolves when it does, or there is none. */
  readonly startWorker: (group: string) => Promise<void>;
  /** How many of the host's frames may wait while it is not where the host is, or is slow. */
  readonly maxQueued?: number;
}

/** A host that has said nothing for so long is asked whether it is there: its heartbeats come more often. */
const QUIET_MS = 20_000;

/** How long it may take over its answer: a worker has to be loaded first, perhaps. */
const ANSWER_MS = 5000;

/**
 * Brings the frames of its group's one connection, as long as it has all of them: it is *aligned*.
 * While it is not, it has a connection of its own, from its own position, and holds a bounded queue of
 * what the host tells: as soon as both are at the same position, the queue is the rest.
 */
export function createTabMember(setup: SourceSetup, options: MemberOptions): FrameSource {
  const { gate, clock, token, onFrame, onState } = setup;
  const { tabs, makeSource, groupOf, hasReplay, startWorker, maxQueued = 1000 } = options;
  const queue = createQueue(maxQueued);
  const alwaysOpen = new Gate();
  let isStarted = false;
  /** The position after what was handed out. */
  let at: string | undefined;
  let told: SourceState["name"] = "connecting";
  let isAligned = false;
  /** Whether its own connection is to bring frames. */
  let isAlone = false;
  let isDraining = false;
  let groupName: string | undefined;
  /** Of the host that it follows. */
  let term = 0;
  let hostState: SourceState = { name: "connecting" };
  /** Items of the host that it has got. */
  let n = NaN;
  let membership: Membership | undefined;
  let silence = { noteBytes: ignore, end: ignore };
  let isAnswerDue = false;
  let unwatch = ignore;

  /** Who asks for a token comes to know which group it belongs to: a user may have changed. */
  const tokens: TokenSource = {
    isRenewable: token.isRenewable,
    get: async () => {
      const given = await token.get();
      const group = groupOf(given);
      if (isStarted && group !== groupName) enter(group);
      return given;
    },
  };
  const own = makeSource({
    ...setup,
    token: tokens,
    onState: (state) => {
      if (isAlone) tell(state);
    },
    onFrame: (frame) => {
      if (!isAlone) return;
      hand(frame);
      meet();
    },
  });

  function tell(state: SourceState): void {
    told = state.name;
    onState(state);
  }

  function hand(frame: Frame): void {
    at = frame.id || undefined;
    onFrame(frame);
  }

  function goAlone(): void {
    isAligned = false;
    if (isAlone || !isStarted) return;
    isAlone = true;
    own.start(at);
  }

  /** Follows the host, if it is where this one is, or was since it has been followed. */
  function meet(hello?: Hello): void {
    if (groupName === undefined || Number.isNaN(n) || isAligned || !queue.skipTo(at)) return;
    isAligned = true;
    isAlone = false;
    own.stop();
    settle(hello);
  }

  /** Is where the host is: says what the stream would have said at its beginning, if that is news. */
  function settle(hello?: Hello): void {
    if (told !== hostState.name) {
      tell(hostState);
      const { notice, isLive = false, at: id = "" } = hello ?? {};
      if (notice !== undefined) receive({ type: "connection", id, data: notice });
      if (isLive) receive({ type: "live", id, data: '{"replayed":0}' });
    }
    drain();
  }

  function receive(frame: Frame): void {
    if (!queue.put(frame) && isAligned) goAlone();
    if (isAligned) drain();
    else meet();
  }

  /** Hands out what the host has told, as fast as it is taken. */
  function drain(): void {
    const next = (): Frame | undefined => (isAligned && gate.isOpen ? queue.take() : undefined);
    for (let frame = next(); frame; frame = next()) hand(frame);
    if (!isAligned || gate.isOpen || isDraining) return;
    isDraining = true;
    void gate.opened().then(() => {
      isDraining = false;
      drain();
    });
  }

  function listen(ms: number, onSilence: () => void): void {
    silence.end();
    silence = watchSilence({ clock, gate: alwaysOpen, quietMs: ms }, onSilence);
  }

  function heard(): void {
    if (!isAnswerDue) {
      silence.noteBytes();
      return;
    }
    isAnswerDue = false;
    listen(QUIET_MS, () => {
      awaitAnswer();
      membership?.join();
    });
  }

  function awaitAnswer(): void {
    isAnswerDue = true;
    // Not all at once.
    listen(ANSWER_MS * (1 + clock.random()), () => {
      n = NaN;
      goAlone();
      membership?.takeOver();
      awaitAnswer();
      membership?.join();
    });
  }

  function enter(group: string): void {
    leave();
    groupName = group;
    term = 0;
    n = NaN;
    membership = enterGroup({
      name: group,
      tabs,
      clock,
      token: tokens,
      connect: (listener) => makeSource({ ...setup, ...listener }),
      startWorker,
      describe: () => ({ at: isAligned ? queue.end : at, term, isAligned }),
      onHost: () => {
        if (isAnswerDue) awaitAnswer();
      },
      onHello: follow,
      onItems: take,
      onRefusal: goAlone,
    });
    awaitAnswer();
  }

  /** The host says where it is. */
  function follow(hello: Hello): void {
    if (hello.term < term) {
      // One that has been replaced, or one that does not know of the one before it: that learns of it now.
      membership?.join();
      return;
    }
    heard();
    if (hello.term > term || hello.n !== n) {
      const isSame = isAligned && queue.end === hello.at;
      ({ term, n } = hello);
      if (!isSame) {
        isAligned = false;
        queue.begin(hello.at);
      }
    }
    hostState = hello.state;
    if (isAligned) {
      settle(hello);
      return;
    }
    // What is to come is all that it wants.
    if (at === undefined && !hasReplay && hello.isLive) at = hello.at;
    meet(hello);
    if (!isAligned) goAlone();
  }

  function take(message: Items): void {
    if (message.term !== term) return;
    heard();
    if (message.n !== n) {
      // Something was missed, or nothing can be said before the host has answered.
      n = NaN;
      membership?.join();
      return;
    }
    for (const item of message.items) {
      n += 1;
      if ("name" in item) {
        hostState = item;
        if (isAligned) tell(item);
      } else receive(item);
    }
  }

  function leave(): void {
    membership?.leave();
    membership = undefined;
    silence.end();
    own.stop();
    groupName = undefined;
    isAligned = false;
    isAlone = false;
  }

  function stop(): void {
    isStarted = false;
    unwatch();
    leave();
  }

  return {
    start(lastEventId) {
      stop();
      isStarted = true;
      at = lastEventId ?? at;
      // A page that is kept in the cache must hold nothing that others wait for.
      unwatch = tabs.watchLeaving(leave, goAlone);
      // As far as to its token: then it joins.
      goAlone();
    },
    stop,
    retryNow() {
      own.retryNow();
      membership?.wake();
    },
  };
}

function ignore(): void {
  // There is nobody yet.
}
