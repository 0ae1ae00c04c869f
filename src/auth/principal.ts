/** Names, and prefixes with `*` at the end, as in the parameter `topics`; `*` alone is everything. */
export type Patterns = readonly string[];

/** Who a request comes from, and what it may do. What is not named here is not allowed. */
export interface Principal {
  /** A token's `sub`; undefined where nobody is named. */
  readonly user: string | undefined;
  /** For people to read; never decides anything. */
  readonly username: string | undefined;
  /** The client id that it has, and the only one that it may ask for. */
  readonly clientId: string | undefined;
  /** Whether it may choose `userId`, `username` and `clientId` itself: only without a token. */
  readonly mayNameItself: boolean;
  /** Topics that it may read. */
  readonly subscribe: Patterns;
  /** Topics that it may publish to. */
  readonly publish: Patterns;
  /** Channels that it may join, and publish to. */
  readonly channels: Patterns;
  /** Whether it may see the status pages. */
  readonly status: boolean;
  readonly token: Token | undefined;
}

/** What is known of a token once it has been verified; never its text. */
export interface Token {
  /** Which of the ways it came. A cookie comes by itself, whoever made the browser send it. */
  readonly from: "header" | "query" | "cookie";
  /** When it stops being accepted for streams that are open (milliseconds since 1970). */
  readonly expiresAtMs: number;
}

/** Whether a name is one of the patterns'. Linear in their number and length. */
export function allows(patterns: Patterns, name: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}

/** What an authenticator sees of a request. */
export interface Credentials {
  readonly headers: Headers;
  /** The request's URL as it came: `token` may be in its query. */
  readonly url: string;
  /** Whether the request certainly comes from this machine and was meant for it. */
  readonly isLocal: () => boolean;
}

/** Tells who a request comes from. */
export interface Authenticator {
  /**
   * Synchronous where nothing has to be waited for.
   * @throws HeadgateError `unauthorized` (also as a rejection) for a missing or a bad token. Its
   * message holds nothing of the token.
   */
  authenticate(credentials: Credentials): Principal | Promise<Principal>;
  /** Told when a stream was closed because its token had expired: it gets no second life. */
  onExpired(principal: Principal): void;
}
