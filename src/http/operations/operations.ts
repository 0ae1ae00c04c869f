import type { Operation } from "./operation.ts";
import { PUBLISHING } from "./publishing.ts";
import { READING } from "./reading.ts";
import { WATCHING } from "./watching.ts";

/** Everything that is served, by method and path. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...READING,
  ...PUBLISHING,
  ...WATCHING,
};
