import type { DashboardData, Sections } from "./dashboard-data.ts";

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

/**
 * All sections in one: where both have one of a name, the application's source wins over the
 * dashboard topic, which anybody who may publish there can write to. Those with a name of the
 * dashboard's own are left out, and told.
 */
export function joinSections({ application, topic }: { application: Sections; topic: Sections }): {
  readonly sections: Sections;
  readonly faults: readonly string[];
} {
  const all = Object.entries({ ...topic, ...application });
  const taken = all.filter(([name]) => Object.hasOwn(RESERVED, name)).map(([name]) => name);
  return {
    sections: Object.fromEntries(all.filter(([name]) => !Object.hasOwn(RESERVED, name))),
    faults: taken.map((name) => `the section ${name} is left out: the dashboard has its own`),
  };
}
