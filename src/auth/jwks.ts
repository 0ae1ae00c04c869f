import { HeadgateError } from "../errors.ts";
import { fetchKeySet, type SetKey } from "./key-set.ts";
import type { KeyHint, Keys } from "./keys.ts";

export interface JwksTiming {
  /** How long fetched keys are used: so long a key that was withdrawn may live on. */
  readonly validMs: number;
  /** Least time from the end of a fetch to the start of the next. */
  readonly refetchMs: number;
  /** For a whole fetch, its body included. */
  readonly timeoutMs: number;
  /** Never goes back, whatever happens to the clock. */
  readonly nowMs: () => number;
}

const TIMING: JwksTiming = {
  validMs: 600_000,
  // Anybody can send tokens with a `kid` that does not exist: they do not get to choose how often
  // the endpoint is asked.
  refetchMs: 1_000,
  timeoutMs: 5_000,
  nowMs: () => performance.now(),
};

/** What a key of a set can sign with; for anything else a fetch would change nothing. */
const ASYMMETRIC = /^(?:RS|ES|Ed)/;

/** Keys that are fetched from a JWK Set's URL, when they are needed, one fetch at a time. */
export class RemoteKeys implements Keys {
  readonly #url: URL;
  readonly #timing: JwksTiming;
  #keys: readonly SetKey[] = [];
  #validUntilMs = Number.NEGATIVE_INFINITY;
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;
  /** Of the last fetch, where it failed. */
  #failure: HeadgateError | undefined;

  /** @throws HeadgateError `configuration` where it is no URL to fetch from. */
  constructor(url: string, timing: Partial<JwksTiming> = {}) {
    this.#url = parseUrl(url);
    this.#timing = { ...TIMING, ...timing };
  }

  /** What no key fits may be signed with a new one, so that the set is fetched again: keys rotate. */
  async find(hint: KeyHint): Promise<readonly SetKey[]> {
    if (this.#timing.nowMs() >= this.#validUntilMs) await this.#refetch();
    const known = this.#fitting(hint);
    if (known.length > 0 || !ASYMMETRIC.test(hint.alg)) return known;
    await this.#refetch();
    return this.#fitting(hint);
  }

  #fitting({ alg, kid }: KeyHint): readonly SetKey[] {
    return this.#keys.filter(
      (key) => key.algorithms.includes(alg) && (kid === undefined || key.kid === kid),
    );
  }

  /** @throws HeadgateError `not-ready` where the last fetch failed, be it this one or one just before. */
  async #refetch(): Promise<void> {
    const { nowMs, refetchMs } = this.#timing;
    if (!this.#fetching && nowMs() - this.#fetchedAtMs >= refetchMs) {
      this.#fetching = this.#fetch().finally(() => {
        this.#fetchedAtMs = nowMs();
        this.#fetching = undefined;
      });
    }
    await this.#fetching;
    if (this.#failure) throw this.#failure;
  }

  async #fetch(): Promise<void> {
    try {
      this.#keys = await fetchKeySet(this.#url, this.#timing.timeoutMs);
      this.#validUntilMs = this.#timing.nowMs() + this.#timing.validMs;
      this.#failure = undefined;
    } catch (cause) {
      this.#failure = new HeadgateError(
        "not-ready",
        "The keys that check tokens cannot be fetched now; try again",
        { cause },
      );
    }
  }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  // Errors of a fetch name the URL, and are logged: no password may be in it.
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw new HeadgateError(
      "configuration",
      "JWT_JWKS_URL must be an http or https URL without user and password",
    );
  }
  return url;
}
