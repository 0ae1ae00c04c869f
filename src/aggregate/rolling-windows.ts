import { type WindowFigures, type WindowName, WINDOWS } from "./aggregation.ts";
import { type Counted, parseStep, Step } from "./step.ts";

/** Steps of each window. */
const STEPS = 60;

/** Further ahead of its arrival, a record's timestamp counts as a mistake and not as two clocks that differ. */
const MAX_AHEAD_MS = 1_000;

/** What took a millisecond to work out is told again for a hundred: no question costs more, however often it is put. */
const REST = 100;

interface Level {
  readonly name: WindowName;
  readonly windowMs: number;
  /** The step that the last arrival lies in. */
  newest: number;
  /** By index; at most `STEPS`, from `newest` back. */
  readonly steps: Map<number, Step>;
  /** Indexes of the steps that were changed, or let go of, since they were last stored. */
  readonly changed: Set<number>;
  answer: Answer | undefined;
}

/** What was told of a window last. */
interface Answer {
  readonly figures: WindowFigures;
  readonly step: number;
  /** Records that were counted by then. */
  readonly counted: number;
  readonly reuseUntilMs: number;
}

/** What was changed since it was last stored: what each name holds now; undefined: nothing. */
export type Changes = Generator<readonly [name: string, text: string | undefined], void, void>;

/**
 * The time just past in windows of several lengths, each cut into 60 steps that begin at whole
 * multiples of their length since 1970. What is asked covers the step that is under way and the 59
 * before it: between 59 and 60 sixtieths of the window.
 *
 * All of it follows from what was counted in which order, never from when that was: counted again
 * after a crash it comes to the same.
 */
export class RollingWindows {
  readonly #fields: readonly string[];
  readonly #levels: readonly Level[];
  #counted = 0;
  #lastArrivedMs = 0;
  #late: number;
  #future: number;

  constructor(fields: readonly string[], { late, future }: { late: number; future: number }) {
    this.#fields = fields;
    this.#late = late;
    this.#future = future;
    this.#levels = WINDOW_NAMES.map((name) => ({
      name,
      windowMs: WINDOWS[name],
      newest: 0,
      steps: new Map(),
      changed: new Set(),
      answer: undefined,
    }));
  }

  /** Records that were older than the longest window when they came. */
  get late(): number {
    return this.#late;
  }

  /** Records dated more than a second after they came. */
  get future(): number {
    return this.#future;
  }

  /** Counts a record under its timestamp (-1: none), or under its arrival where that was earlier. Arrivals never go back. */
  count(counted: Counted, { timestampMs, arrivedMs }: Times): void {
    this.moveTo(arrivedMs);
    this.#counted += 1;
    if (timestampMs > arrivedMs + MAX_AHEAD_MS) this.#future += 1;
    const at = timestampMs === -1 ? arrivedMs : Math.min(timestampMs, arrivedMs);
    let isLate = true;
    for (const level of this.#levels) {
      const index = stepAt(level, at);
      if (index <= level.newest - STEPS) continue;
      isLate = false;
      let step = level.steps.get(index);
      if (!step) level.steps.set(index, (step = new Step()));
      step.add(counted, this.#fields);
      level.changed.add(index);
    }
    if (isLate) this.#late += 1;
  }

  /**
   * What each window holds at a moment, and whatever came after it: a clock that is set back hides
   * nothing. While records come, what is told of a window may lack those of the last moments: of
   * its sixtieth part at most, and usually of much less (`REST`). Records may be counted between
   * its steps.
   */
  *figuresAt(nowMs: number): Generator<void, Record<WindowName, WindowFigures>, void> {
    const figures: [WindowName, WindowFigures][] = [];
    for (const level of this.#levels) {
      figures.push([level.name, yield* this.#figuresOf(level, nowMs)]);
    }
    // The cast holds: there is a level for each name.
    return Object.fromEntries(figures) as Record<WindowName, WindowFigures>;
  }

  /** The changes since `markStored`; nothing may be counted while they are read. */
  *changes(): Changes {
    for (const level of this.#levels) {
      for (const index of level.changed) {
        const step = level.steps.get(index);
        yield [nameOf(level, index), step === undefined ? undefined : JSON.stringify(step)];
      }
    }
  }

  markStored(): void {
    for (const { changed } of this.#levels) changed.clear();
  }

  /**
   * Puts a step back that was stored by this name; false where it is no step's name. Then `moveTo` the last arrival.
   * @throws Error where the text is not one of ours.
   */
  restore(name: string, text: string): boolean {
    const [, window, index] = STEP_NAME.exec(name) ?? [];
    const level = this.#levels.find((each) => each.name === window);
    if (!level) return false;
    level.steps.set(Number(index), parseStep(text, this.#fields));
    return true;
  }

  /** When the last record arrived. */
  get lastArrivedMs(): number {
    return this.#lastArrivedMs;
  }

  /** Lets go of the steps that an arrival leaves behind. */
  moveTo(arrivedMs: number): void {
    if (arrivedMs <= this.#lastArrivedMs) return;
    this.#lastArrivedMs = arrivedMs;
    for (const level of this.#levels) {
      const newest = stepAt(level, arrivedMs);
      if (newest === level.newest) continue;
      level.newest = newest;
      for (const index of level.steps.keys()) {
        if (index > newest - STEPS) continue;
        level.steps.delete(index);
        level.changed.add(index);
      }
    }
  }

  *#figuresOf(level: Level, nowMs: number): Generator<void, WindowFigures, void> {
    const step = stepAt(level, nowMs);
    const counted = this.#counted;
    const { answer } = level;
    if (answer?.step === step) {
      const isFresh = answer.counted === counted || performance.now() < answer.reuseUntilMs;
      if (isFresh) return answer.figures;
    }
    const whole = new Step();
    let workedMs = 0;
    // Steps that roll out, or come, between two of these are left out, or met.
    for (const [index, each] of level.steps) {
      if (index <= step - STEPS) continue;
      const startedMs = performance.now();
      whole.merge(each);
      workedMs += performance.now() - startedMs;
      yield;
    }
    const startedMs = performance.now();
    const figures = figuresOf(whole, level.windowMs);
    const doneMs = performance.now();
    workedMs += doneMs - startedMs;
    level.answer = { figures, step, counted, reuseUntilMs: doneMs + workedMs * REST };
    return figures;
  }
}

/** When a record was written, as its producer says, and when it came, in milliseconds since 1970. */
export interface Times {
  readonly timestampMs: number;
  readonly arrivedMs: number;
}

/** From the shortest to the longest. */
const WINDOW_NAMES: readonly WindowName[] = ["10s", "1m", "5m", "1h"];

/** In this order of operations it is exact: a sixtieth of ten seconds is no whole number of milliseconds. */
function stepAt({ windowMs }: Pick<Level, "windowMs">, ms: number): number {
  return Math.floor((ms * STEPS) / windowMs);
}

const STEP_NAME = /^step (\w+) (-?\d+)$/;

function nameOf({ name }: Level, index: number): string {
  return `step ${name} ${index}`;
}

function figuresOf(whole: Step, windowMs: number): WindowFigures {
  const seconds = windowMs / 1_000;
  const { items, other } = whole.types.top();
  const types = new Map(items);
  // A type may be called so too: together they are what is under this name.
  if (other > 0) types.set(OTHER, (types.get(OTHER) ?? 0) + other);
  return {
    count: whole.count,
    ratePerSecond: whole.count / seconds,
    byTopic: Object.fromEntries(whole.byTopic),
    byType: Object.fromEntries(types),
    ratesByTopic: perSecond(whole.byTopic, seconds),
    ratesByType: perSecond(types, seconds),
    truncated: other > 0,
    fields: Object.fromEntries(
      [...whole.byField].map(([field, numbers]) => [field, numbers.figures()]),
    ),
  };
}

const OTHER = "other";

/** `Object.fromEntries` makes members of its own of whatever names: `__proto__` too. */
function perSecond(counts: ReadonlyMap<string, number>, seconds: number): Record<string, number> {
  return Object.fromEntries([...counts].map(([name, count]) => [name, count / seconds]));
}
