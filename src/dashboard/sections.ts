import type { DashboardData, Sections } from "./dashboard-data.ts";

/**
 * Most that all sections may be together, as JSON. Every subscriber of the dashboard gets them with
 * every update, and one that stops reading holds an update: whoever may write to the dashboard's
 * topic, or a source that returns its whole database, must not take the server's memory.
 */
export const MAX_SECTIONS_BYTES = 128 * 1024;

/** The dashboard's own members: a section of the same name would replace what the server says of itself. */
const RESERVED: Readonly<Record<keyof DashboardData, true>> = {
  timestamp: true,
  performance: true,
  traffic: true,
  aggregation: true,
  memory: true,
  errors: true,
  metadata: true,
};

/** Members for the dashboard's JSON. */
export interface JoinedSections {
  /** `"name":value` each, as JSON. */
  readonly members: readonly string[];
  /** Why some are left out, for people. */
  readonly faults: readonly string[];
}

/**
 * All sections in one. Where both have one of a name, the application's source wins over the
 * dashboard's topic, to which others may write. Those with a name of the dashboard's own are left
 * out, and those for which there is no room, the topic's last ones first.
 */
export function joinSections(application: Sections, topic: Sections): JoinedSections {
  const all = [
    ...Object.entries(application),
    ...Object.entries(topic).filter(([name]) => !Object.hasOwn(application, name)),
  ];
  const reserved = all.filter(([name]) => Object.hasOwn(RESERVED, name)).map(([name]) => name);
  const shown = all.filter(([name]) => !Object.hasOwn(RESERVED, name));
  const members: string[] = [];
  let bytes = 0;
  for (const [name, value] of shown) {
    const member = `${JSON.stringify(name)}:${JSON.stringify(value)}`;
    bytes += Buffer.byteLength(member) + 1;
    // The rest is not even written: it may be much.
    if (bytes > MAX_SECTIONS_BYTES) break;
    members.push(member);
  }
  const left = shown.length - members.length;
  const faults = reserved.map((name) => `section ${name} is left out: the dashboard has its own`);
  if (left > 0) {
    faults.push(
      `${left} sections are left out: all together may have ${MAX_SECTIONS_BYTES >> 10} KiB`,
    );
  }
  return { members, faults };
}
