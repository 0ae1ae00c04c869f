import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { caddy, caddyAvailable } from "./support/caddy.ts";
import { startBehind } from "./support/proxied-server.ts";
import { testProxyInChromium } from "./support/proxy-browser-cases.ts";
import { testProxy } from "./support/proxy-cases.ts";
import { publish } from "./support/server.ts";

// Caddy is built when it is first asked for.
setDefaultTimeout(600_000);

describe.skipIf(!caddyAvailable())("G6 G7 behind Caddy", () => {
  testProxy(caddy);
  testProxyInChromium(caddy);

  test.each(["true", "false"])(
    "its encode leaves streams alone, and compresses other answers (SSE_COMPRESSION=%s)",
    async (isCompressed) => {
      await using behind = await startBehind(caddy, { SSE_COMPRESSION: isCompressed });
      const { client, server } = behind;
      for (const accepted of ["zstd", "gzip", "zstd, gzip", "br, gzip, zstd"]) {
        const headers = { "Accept-Encoding": accepted };
        await using stream = await client.live("/events", { headers });
        const isGzip = isCompressed === "true" && accepted.includes("gzip");
        expect(stream.headers.get("content-encoding")).toBe(isGzip ? "gzip" : null);
        for (const data of ["a", "b".repeat(5000), "c"]) {
          const count = stream.records.length + 1;
          await publish(server.url, { data });
          expect((await stream.recordsUpTo(count)).at(-1)?.data).toBe(`"${data}"`);
        }
        const described = await client.request("/openapi.json", { headers });
        expect(described.headers.get("content-encoding")).toBeOneOf(accepted.split(", "));
        expect(JSON.parse(described.body)).toHaveProperty("openapi");
      }
    },
  );
});
