/** What a published event names beside its topic. */
export interface Address {
  readonly key?: string;
  readonly type?: string;
  readonly channel?: string;
  readonly user?: string;
  /** Only where events go straight into Kafka. */
  readonly partition?: number;
}

/** How many names of each kind the events go round; 0 where they name none. */
export type SpreadOptions = Readonly<Record<Kind | "partitions", number>>;

/** The number that an event carries, and whom it is for. */
export interface Place {
  readonly n: number;
  readonly address: Address;
}

type Kind = "keys" | "types" | "channels" | "users";

const FIELDS = { keys: "key", types: "type", channels: "channel", users: "user" } as const;
const KINDS = ["keys", "types", "channels", "users"] as const;

/**
 * Gives the event made as the i-th, from 0, the key `k<i mod K>` (type `t…`, channel `c…`, user `u…`),
 * and the partition `i mod P`. Events are numbered within their name: whoever reads one name sees
 * 0, 1, 2 …, and so a number that is missing is an event that is missing. Numbers do not depend on
 * partitions, as everybody reads all of them. Throws where events should name two kinds.
 */
export function spreadOver(options: SpreadOptions): (made: number) => Place {
  const kinds = KINDS.filter((kind) => options[kind] > 0);
  const [kind] = kinds;
  if (kinds.length > 1) throw new Error(`Events name one kind, not ${kinds.join(" and ")}`);
  const { partitions } = options;
  const count = kind === undefined ? 1 : options[kind];
  const names: Address[] = Array.from({ length: count }, (_, index) =>
    kind === undefined ? {} : { [FIELDS[kind]]: `${kind.charAt(0)}${index}` },
  );
  return (made) => {
    const name = names[made % count] ?? {};
    const address = partitions > 0 ? { ...name, partition: made % partitions } : name;
    return { n: Math.floor(made / count), address };
  };
}
