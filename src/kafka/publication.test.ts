import { expect, test } from "bun:test";
import { Publication } from "./publication.ts";

const failure = (publication: Publication): Promise<unknown> =>
  publication.result.catch((error: unknown) => error);

const at = (offset: number) => ({ topic: "t", partition: 0, offset });

test("a publication resolves with all coordinates in the order given, whatever the order of the answers", async () => {
  const publication = new Publication(3, 60_000);
  for (const index of [2, 0, 1]) publication.acknowledge(index, at(index));
  expect(await publication.result).toEqual([at(0), at(1), at(2)]);
});

test("a publication that failed in part may be stored in part", async () => {
  const publication = new Publication(2, 60_000);
  publication.markWritten(0);
  publication.markWritten(1);
  publication.markRefused(1);
  publication.fail("too-large", "too large");
  expect(await failure(publication)).toMatchObject({ details: { mayBeStored: true } });
});

test("a publication of which all was refused is not stored", async () => {
  const publication = new Publication(1, 60_000);
  publication.markWritten(0);
  publication.markRefused(0);
  publication.fail("forbidden", "forbidden");
  expect(await failure(publication)).toMatchObject({ details: { mayBeStored: false } });
});

test("carriers hear of the deadline, and of nothing afterwards", async () => {
  const publication = new Publication(1, 5);
  let told = 0;
  publication.carriedBy({ giveUp: () => (told += 1) });
  expect(await failure(publication)).toMatchObject({
    code: "publish-timeout",
    details: { mayBeStored: false },
  });
  publication.acknowledge(0, at(0));
  publication.fail("publish-failed", "late");
  expect(told).toBe(1);
  expect(publication.isLate).toBe(true);
});
