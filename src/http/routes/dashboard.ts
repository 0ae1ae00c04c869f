import type { Route } from "../context.ts";

/** The dashboard, as a document and as a stream. */
export const DASHBOARD_ROUTES: readonly Route[] = [];
