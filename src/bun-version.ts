/** Refuses a Bun older than we have tested. Imported first, so that it runs before anything else does. */
const OLDEST = "1.4.5";

if (typeof Bun === "undefined" || Bun.semver.order(Bun.version, OLDEST) < 0) {
  const found = typeof Bun === "undefined" ? "no Bun" : `Bun ${Bun.version}`;
  process.stderr.write(
    `Headgate needs Bun ${OLDEST} or later, this is ${found}. Try: npx --yes bun@${OLDEST} src/app.ts\n`,
  );
  process.exit(1);
}
