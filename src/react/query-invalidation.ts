import { oncePerTurn } from "./turn.ts";

/** As TanStack Query has it: `["orders", 42]`. */
export type QueryKey = readonly unknown[];

/** The part of TanStack Query's `QueryClient` that is used here. */
export interface QueryClientLike {
  invalidateQueries(filters: { queryKey: QueryKey }): unknown;
}

/** Invalidates each key once in a turn of the event loop, however many events ask for it. */
export class QueryInvalidation {
  readonly #waiting = new Map<string, { client: QueryClientLike; queryKey: QueryKey }>();

  add(client: QueryClientLike, keys: readonly QueryKey[]): void {
    for (const queryKey of keys) this.#waiting.set(JSON.stringify(queryKey), { client, queryKey });
    this.#flush();
  }

  readonly #flush = oncePerTurn(() => {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { client, queryKey } of waiting) void client.invalidateQueries({ queryKey });
  });
}
