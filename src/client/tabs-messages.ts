import type { Frame, SourceState } from "./frame-source.ts";

/**
 * What the members of a group and its host tell each other. Who sees it is every page of the same
 * origin, tokens included: the same pages could read them out of the storage that they come from.
 */
export type TabMessage =
  /** A new host asks who is there. */
  | { readonly kind: "who" }
  | Join
  | Hello
  | Items
  /** The host wants a token of this member. */
  | { readonly kind: "ask"; readonly member: string }
  | TokenAnswer
  /** The host is not to wait any longer for its next attempt. */
  | { readonly kind: "wake" };

/** Somebody is there, and wants to be told where the host is. */
export interface Join {
  readonly kind: "join";
  readonly member: string;
  /** The position after what it has of the host's frames, else after what it has handed out. */
  readonly at: string | undefined;
  /** Of the host that it follows; 0: of none yet. */
  readonly term: number;
  /** Whether it has all that the host of that term has told it. */
  readonly isAligned: boolean;
  /** Whether asking it again may bring another token. */
  readonly isRenewable: boolean;
}

/** Where the host is. */
export interface Hello {
  readonly kind: "hello";
  /** A later host's is higher. */
  readonly term: number;
  /** How many items it has told. */
  readonly n: number;
  /** The position after them. */
  readonly at: string | undefined;
  readonly state: SourceState;
  /** The data of the `connection` event of the stream that is open. */
  readonly notice: string | undefined;
  /** Whether that stream has caught up. */
  readonly isLive: boolean;
}

/** What the host's connection brought, in order. */
export interface Items {
  readonly kind: "items";
  readonly term: number;
  /** How many came before them. */
  readonly n: number;
  readonly items: Item[];
}

export interface TokenAnswer {
  readonly kind: "token";
  readonly member: string;
  readonly token?: string | undefined;
  /** Why it has none. */
  readonly error?: string | undefined;
}

/** A frame has a `type`, a state a `name`. */
export type Item = Frame | SourceState;

/** A member holds it while it is one: whoever gets it knows that the member is gone, or has crashed. */
export function memberLock(group: string, member = ""): string {
  return `${group} ${member}`;
}
