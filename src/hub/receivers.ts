import type { OutgoingRecord } from "../log/publisher.ts";
import { placeEntry } from "../log/stored-entry.ts";
import { toEvent } from "../sse/event.ts";
import type { Group } from "./group.ts";
import type { GroupIndex } from "./group-index.ts";
import type { Subscriber } from "./subscriber.ts";

/** How many subscribers records that are about to be published reach. */
export function countReceivers(index: GroupIndex, records: readonly OutgoingRecord[]): number {
  const reached = new Set<Subscriber>();
  const groups = new Set<Group>();
  for (const record of records) {
    const entry = {
      kind: "record",
      partition: 0,
      offset: 0,
      timestampMs: -1,
      timestampType: "create",
      ...record,
    } as const;
    const event = toEvent(placeEntry(entry, { seq: 0, tag: "", arrivedMs: 0 }));
    for (const group of index.groupsFor(event)) groups.add(group);
    for (const subscriber of index.namedBy(event)) reached.add(subscriber);
  }
  let count = 0;
  for (const group of groups) count += group.members.size;
  for (const subscriber of reached) if (!groups.has(subscriber.group)) count += 1;
  return count;
}
