import type { Route } from "../context.ts";

/** What the live console loads and asks. */
export const CONSOLE_ROUTES: readonly Route[] = [];
