import { isIP } from "node:net";
import type { PartitionStatus, SourceStatus } from "../log/source.ts";

/** What stands where a host, an address or a group was. */
const HIDDEN = "hidden";

interface SanitizerOptions {
  /** SSE_SANITIZE_DATA. */
  readonly isSanitized: boolean;
  /** Hosts and groups as they are configured: also those that do not look like one. */
  readonly names: readonly string[];
  /** Names that may look like a host's and are none: topics. */
  readonly shown: readonly string[];
}

/** Takes hosts, addresses and consumer groups out of what is shown. */
export interface Sanitizer {
  text(text: string): string;
  status(status: SourceStatus): SourceStatus;
}

/** What hides nothing where nothing is to be hidden. */
export function createSanitizer({ isSanitized, names, shown }: SanitizerOptions): Sanitizer {
  if (!isSanitized) return { text: (text) => text, status: (status) => status };
  const known = namesPattern(names);
  const text = (original: string): string => {
    const marked = original.replace(LOOKED_UP, `$1${HIDDEN}`);
    const named = known ? marked.replace(known, HIDDEN) : marked;
    return named.replace(WORD, (word) => hideWord(word, shown));
  };
  const hideIn = (partition: PartitionStatus): PartitionStatus => {
    const { lastError } = partition;
    return lastError === undefined ? partition : { ...partition, lastError: text(lastError) };
  };
  return {
    text,
    status(status) {
      const { consumer } = status;
      return {
        ...status,
        consumer: {
          ...consumer,
          ...(consumer.groupId !== null && { groupId: HIDDEN }),
          ...(consumer.lastError !== undefined && { lastError: text(consumer.lastError) }),
          partitions: consumer.partitions.map(hideIn),
        },
      };
    },
  };
}

/** A host of one word is known by what stands before it: in errors of name servers and of certificates. */
const LOOKED_UP = /(\b(?:ENOTFOUND|EAI_AGAIN|Host:|DNS:|IP Address:)\s*)[^\s,;)]+/g;

/** What hosts, addresses and ports are made of. */
const WORD = /[A-Za-z0-9_.:[\]%-]+/g;

const HOST_AND_PORT = /^(?:\[[^\]]+\]|[^:]+):\d{1,5}$/;
/** At least two labels, one of them with a letter: `1.5` is a number. */
const DOTTED_NAME = /^(?=.*[A-Za-z])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$/;

function hideWord(word: string, shown: readonly string[]): string {
  const [, core = word, end = ""] = /^(.*?)([.:]*)$/.exec(word) ?? [];
  if (shown.includes(core)) return word;
  const bare = core.replace(/^\[(.*)\]$/, "$1");
  const isHost = isIP(bare) !== 0 || HOST_AND_PORT.test(core) || DOTTED_NAME.test(core);
  return isHost ? `${HIDDEN}${end}` : word;
}

/** Each name as a whole word, with what an instance appends to it. */
function namesPattern(names: readonly string[]): RegExp | undefined {
  const parts = [...new Set(names)]
    .filter((name) => name !== "")
    .toSorted((a, b) => b.length - a.length)
    .map((name) => RegExp.escape(name));
  if (parts.length === 0) return undefined;
  return new RegExp(
    `(?<![A-Za-z0-9_.-])(?:${parts.join("|")})(?:[-.:][A-Za-z0-9._-]+)?(?![A-Za-z0-9_-])`,
    "g",
  );
}
