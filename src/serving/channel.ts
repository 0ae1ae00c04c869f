import { type ErrorCode, type ErrorDetails, HeadgateError } from "../errors.ts";

/** What one side of a channel offers to the other: methods of one argument. */
export type Offers = Readonly<Record<string, (argument: never) => unknown>>;

type Argument<T, K extends keyof T> = T[K] extends (argument: infer A) => unknown ? A : never;
type Result<T, K extends keyof T> = T[K] extends (argument: never) => infer R ? Awaited<R> : never;

/** What travels; between processes of one version, so that nothing of it is checked. */
export type Message =
  | {
      readonly kind: "call";
      readonly id: number;
      readonly name: string;
      readonly argument: unknown;
    }
  | { readonly kind: "tell"; readonly name: string; readonly argument: unknown }
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: TravellingError };

/** Errors lose their class on the way. */
interface TravellingError {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly details: ErrorDetails;
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Calls between two processes, over messages that arrive whole and in order. What waits is bounded
 * by what asks: a request of a client each.
 */
export class Channel<
  Theirs extends { readonly [K in keyof Theirs]: (argument: never) => unknown },
> {
  readonly #send: (message: Message) => void;
  readonly #offers: Offers;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #isClosed = false;

  constructor(send: (message: Message) => void, offers: Offers) {
    this.#send = send;
    this.#offers = offers;
  }

  /** Resolves with what the other side answers; rejects with its error, or when the channel closes. */
  call<K extends keyof Theirs & string>(
    name: K,
    argument: Argument<Theirs, K>,
  ): Promise<Result<Theirs, K>> {
    if (this.#isClosed) return Promise.reject(gone());
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Result<Theirs, K>>();
    this.#waiting.set(id, { resolve, reject });
    this.#send({ kind: "call", id, name, argument });
    return promise;
  }

  /** Without an answer. */
  tell<K extends keyof Theirs & string>(name: K, argument: Argument<Theirs, K>): void {
    if (!this.#isClosed) this.#send({ kind: "tell", name, argument });
  }

  /** A message has come; one that was still on its way when the channel closed is passed over. */
  receive(message: Message): void {
    if (this.#isClosed) return;
    switch (message.kind) {
      case "call":
        void this.#answer(message);
        break;
      case "tell":
        void this.#run(message.name, message.argument);
        break;
      case "result":
        // The casts hold: the other side's method has the type that the call was made by.
        this.#take(message.id)?.resolve(message.value as never);
        break;
      case "error":
        this.#take(message.id)?.reject(fromTravelling(message.error));
    }
  }

  /** The other side is gone: nothing that waits will be answered. */
  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.values()) reject(gone());
    this.#waiting.clear();
  }

  async #answer({ id, name, argument }: Message & { kind: "call" }): Promise<void> {
    let answer: Message;
    try {
      answer = { kind: "result", id, value: await this.#run(name, argument) };
    } catch (error) {
      answer = { kind: "error", id, error: toTravelling(error) };
    }
    if (!this.#isClosed) this.#send(answer);
  }

  #run(name: string, argument: unknown): unknown {
    const method = this.#offers[name];
    if (!method) throw new Error(`The other process asked for ${name}, which is not offered`);
    return method(argument as never);
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}

function gone(): HeadgateError {
  return new HeadgateError("not-ready", "The process that was asked has ended", {
    mayBeStored: true,
  });
}

function toTravelling(error: unknown): TravellingError {
  if (!(error instanceof HeadgateError)) {
    return { code: undefined, message: String(error), details: {} };
  }
  const { cause, ...details } = error.details;
  // What it is for is the log, as text.
  const text = String(cause);
  const shown = cause === undefined ? {} : { cause: text };
  return { code: error.code, message: error.message, details: { ...details, ...shown } };
}

function fromTravelling({ code, message, details }: TravellingError): Error {
  return code === undefined ? new Error(message) : new HeadgateError(code, message, details);
}
