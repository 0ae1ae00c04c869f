/** The parts of a browser that a page's client looks at, as globals until it is disposed of. */
export class FakePage implements Disposable {
  readonly #events = new EventTarget();
  readonly #document = new EventTarget();
  #visibilityState: "visible" | "hidden" = "visible";
  /** How many listen. */
  listeners = 0;

  constructor(visibilityState: "visible" | "hidden" = "visible") {
    this.#visibilityState = visibilityState;
    const document = this.#counting(this.#document);
    Object.defineProperty(document, "visibilityState", { get: () => this.#visibilityState });
    Object.assign(globalThis, { ...this.#counting(this.#events), document });
  }

  show(): void {
    this.#turn("visible");
  }

  hide(): void {
    this.#turn("hidden");
  }

  /** The network is back. */
  online(): void {
    this.#events.dispatchEvent(new Event("online"));
  }

  [Symbol.dispose](): void {
    for (const name of ["document", "addEventListener", "removeEventListener"]) {
      Reflect.deleteProperty(globalThis, name);
    }
  }

  #turn(state: "visible" | "hidden"): void {
    this.#visibilityState = state;
    this.#document.dispatchEvent(new Event("visibilitychange"));
  }

  #counting(target: EventTarget): Pick<EventTarget, "addEventListener" | "removeEventListener"> {
    return {
      addEventListener: (...args: Parameters<EventTarget["addEventListener"]>) => {
        this.listeners += 1;
        target.addEventListener(...args);
      },
      removeEventListener: (...args: Parameters<EventTarget["removeEventListener"]>) => {
        this.listeners -= 1;
        target.removeEventListener(...args);
      },
    };
  }
}
