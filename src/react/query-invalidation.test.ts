import { expect, test } from "bun:test";
import { QueryClient } from "@tanstack/react-query";
import { QueryInvalidation } from "./query-invalidation.ts";

test("each key is invalidated once, however many events of a turn name it", async () => {
  const invalidated: unknown[] = [];
  const client = {
    invalidateQueries: ({ queryKey }: { queryKey: unknown }) => invalidated.push(queryKey),
  };
  const invalidation = new QueryInvalidation();
  for (let n = 0; n < 100; n += 1) {
    invalidation.add(client, [["orders"], ["order", { id: n % 2 }]]);
    // What brings events resumes after each.
    await Promise.resolve();
  }
  expect(invalidated).toEqual([]);
  await Bun.sleep(1);
  expect(invalidated).toEqual([["orders"], ["order", { id: 0 }], ["order", { id: 1 }]]);
  invalidation.add(client, [["orders"]]);
  await Bun.sleep(1);
  expect(invalidated).toHaveLength(4);
});

test("TanStack's own client takes them", async () => {
  const client = new QueryClient();
  client.setQueryData(["orders"], []);
  client.setQueryData(["payments"], []);
  new QueryInvalidation().add(client, [["orders"]]);
  await Bun.sleep(1);
  const isInvalidated = (key: string): unknown => client.getQueryState([key])?.isInvalidated;
  expect([isInvalidated("orders"), isInvalidated("payments")]).toEqual([true, false]);
});
