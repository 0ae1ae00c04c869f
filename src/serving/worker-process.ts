import type { Logger } from "../logger.ts";
import { Channel, type Message } from "./channel.ts";
import type { FeederOffers, WorkerFigures, WorkerOffers } from "./contract.ts";
import { workerCommand } from "./worker-command.ts";

interface WorkerProcessOptions {
  /** 1, 2, 3 …: its place in the pool, which another one takes when it has ended. */
  readonly worker: number;
  readonly logger: Logger;
  readonly offersTo: (process: WorkerProcess) => FeederOffers;
  /** Called once, however it ends. */
  readonly onEnded: (how: Pick<Bun.Subprocess, "exitCode" | "signalCode">) => void;
}

/** How long a worker may think about what is asked of it before it counts as silent: a turn takes a tenth of that. */
const ANSWER_MS = 1000;

/** One worker, seen from the process that feeds it. */
export class WorkerProcess {
  readonly worker: number;
  /** What its streams count for, by the numbers that it gives them. */
  readonly slots = new Map<number, () => void>();
  /** As it last said; it goes on counting for the instance when it has ended. */
  figures: WorkerFigures | undefined;
  readonly exited: Promise<unknown>;
  readonly #child: Bun.Subprocess;
  readonly #channel: Channel<WorkerOffers>;
  /** Since when it has owed an answer for too long, or has been starting (monotonic, ms); undefined while it answers. */
  #silentSinceMs: number | undefined = performance.now();

  constructor({ worker, logger, offersTo, onEnded }: WorkerProcessOptions) {
    this.worker = worker;
    this.#child = Bun.spawn(workerCommand(), {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      serialization: "advanced",
      // The cast holds: only a worker writes to it.
      ipc: (message) => this.#channel.receive(message as Message),
      onExit: ({ exitCode, signalCode }, _code, _signal, error) => {
        this.#channel.close();
        for (const release of this.slots.values()) release();
        this.slots.clear();
        if (error) logger.error({ worker, err: error }, "worker could not be run");
        onEnded({ exitCode, signalCode });
      },
    });
    this.#channel = new Channel<WorkerOffers>((message) => this.#send(message), {
      ...offersTo(this),
    });
    this.exited = this.#child.exited;
  }

  get pid(): number {
    return this.#child.pid;
  }

  call: Channel<WorkerOffers>["call"] = (name, argument) => this.#channel.call(name, argument);

  tell: Channel<WorkerOffers>["tell"] = (name, argument) => this.#channel.tell(name, argument);

  /** For how long it has been silent, in milliseconds; 0 while it answers. */
  get silentMs(): number {
    return this.#silentSinceMs === undefined ? 0 : performance.now() - this.#silentSinceMs;
  }

  /** Ends it at once, whatever it does. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Has it serve. */
  start: (...how: Parameters<WorkerOffers["start"]>) => ReturnType<WorkerOffers["start"]> = async (
    how,
  ) => {
    const at = await this.call("start", how);
    this.#silentSinceMs = undefined;
    return at;
  };

  /**
   * The answer, or `otherwise` where the worker ends first, or is silent for too long; at once while it
   * has not started, or is silent: whoever publishes would wait for it each time, and we would hold
   * ever more for one that is hung.
   */
  async ask<T>(call: () => Promise<T>, otherwise: T): Promise<T> {
    if (this.#silentSinceMs !== undefined) return otherwise;
    const silence = Promise.withResolvers<T>();
    const timer = setTimeout(() => {
      this.#silentSinceMs = performance.now();
      silence.resolve(otherwise);
    }, ANSWER_MS);
    const answered = call().then(
      (answer) => {
        this.#silentSinceMs = undefined;
        return answer;
      },
      () => otherwise,
    );
    return Promise.race([answered.finally(() => clearTimeout(timer)), silence.promise]);
  }

  /** Lets it end; it is killed where it does not. */
  async end(graceMs: number): Promise<void> {
    this.#channel.close();
    this.#child.disconnect();
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    await this.#child.exited;
    clearTimeout(killer);
  }

  #send(message: Message): void {
    try {
      this.#child.send(message);
    } catch {
      // It has just died, and we shall be told so. Whoever cannot be told anything is of no use else.
      this.#channel.close();
      this.kill();
    }
  }
}
