import { describe, expect, test } from "bun:test";
import { type CorsSettings, createCors } from "./cors.ts";

const GOOD = "https://good.com";
const LISTED = createCors([GOOD, "http://localhost:5173"]);

function request(headers: Record<string, string> = {}, url = "http://events.example/"): Request {
  return new Request(url, { headers });
}

/** What an answer gets, by names in lower case. */
function given(
  settings: CorsSettings,
  headers: Record<string, string>,
  answer: Record<string, string> = {},
): Record<string, string> {
  const response = new Response(null, { headers: answer });
  return createCors(settings).apply(request(headers), response).headers.toJSON();
}

describe("with a list of origins", () => {
  test("a page of a listed one may read answers, with credentials", () => {
    expect(given([GOOD], { Origin: GOOD })).toEqual({
      "access-control-allow-origin": GOOD,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "Retry-After, X-Request-Id",
      vary: "Origin",
    });
  });

  test.each([
    ["null"],
    ["https://good.com.evil.com"],
    ["https://evilgood.com"],
    ["https://evil.com/https://good.com"],
    ["https://sub.good.com"],
    ["https://GOOD.com"],
    ["HTTPS://good.com"],
    ["https://good.com:443"],
    ["https://good.com:8443"],
    ["http://good.com"],
    ["https://good.com/"],
    ["https://good.com."],
    ["https://good.com, https://evil.com"],
    ["good.com"],
    ["*"],
    [""],
    ["__proto__"],
  ])("C10 the origin %j is given nothing but Vary", (origin) => {
    const headers = { Origin: origin };
    expect(given([GOOD], headers)).toEqual({ vary: "Origin" });
    expect(LISTED.isOriginAllowed(request(headers), "events.example")).toBe(false);
  });

  test("C10 null stands for many origins, and is given nothing even where the list has it", () => {
    expect(given([GOOD, "null"], { Origin: "null" })).toEqual({ vary: "Origin" });
    expect(given(["null"], { Origin: "null" })).toEqual({});
    expect(createCors(["null"]).isOriginAllowed(request({ Origin: "null" }), "null")).toBe(false);
  });

  test("a request without an origin varies by it too, for caches", () => {
    expect(given([GOOD], {})).toEqual({ vary: "Origin" });
  });

  test.each([
    ["Accept", "Accept, Origin"],
    ["Accept, Accept-Encoding", "Accept, Accept-Encoding, Origin"],
    ["X-Origin", "X-Origin, Origin"],
    ["Origin", "Origin"],
    ["Accept,origin", "Accept,origin"],
    ["*", "*"],
  ])("an answer that varies by %s then varies by %s", (vary, expected) => {
    expect(given([GOOD], {}, { Vary: vary })["vary"]).toBe(expected);
  });

  test("an answer that is given its headers twice has them once", () => {
    const response = new Response(null, { headers: { Vary: "Accept" } });
    const from = request({ Origin: GOOD });
    const once = LISTED.apply(from, response).headers.toJSON();
    expect(LISTED.apply(from, response).headers.toJSON()).toEqual(once);
  });
});

test.each([[GOOD], ["null"], ["https://anybody.example"]])(
  "C11 with * the origin %s is given *, and never credentials",
  (origin) => {
    expect(given("any", { Origin: origin, Cookie: "headgate_token=x" })).toEqual({
      "access-control-allow-origin": "*",
      "access-control-expose-headers": "Retry-After, X-Request-Id",
    });
  },
);

test("without CORS nothing is given", () => {
  expect(given([], { Origin: GOOD }, { Vary: "Accept" })).toEqual({ vary: "Accept" });
});

describe("a preflight", () => {
  const ALLOW = ["GET", "HEAD", "POST", "OPTIONS"];
  const ASKING = { Origin: GOOD, "Access-Control-Request-Method": "POST" };

  function answer(settings: CorsSettings, headers: Record<string, string>): Record<string, string> {
    const response = createCors(settings).preflight(request(headers), ALLOW);
    expect(response.status).toBe(204);
    expect(response.body).toBeNull();
    return response.headers.toJSON();
  }

  test("B18 of a listed origin is told methods, headers and for how long", () => {
    expect(answer([GOOD], ASKING)).toEqual({
      allow: "GET, HEAD, POST, OPTIONS",
      "access-control-allow-origin": GOOD,
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "Retry-After, X-Request-Id",
      "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
      "access-control-allow-headers":
        "Authorization, Content-Type, Last-Event-ID, Idempotency-Key, Cache-Control, traceparent, tracestate, ce-id, ce-source, ce-specversion, ce-type, ce-subject, ce-time, ce-dataschema",
      "access-control-max-age": "7200",
      vary: "Origin",
    });
  });

  test("C11 with * is told the same, without credentials", () => {
    const answered = answer("any", ASKING);
    expect(answered["access-control-allow-origin"]).toBe("*");
    expect(answered["access-control-allow-methods"]).toBe("GET, HEAD, POST, OPTIONS");
    expect(answered["access-control-allow-headers"]).toContain("Authorization");
    expect(answered).not.toHaveProperty("access-control-allow-credentials");
  });

  test("B18 C10 of another origin, or without CORS, is told only what there is", () => {
    const evil = { ...ASKING, Origin: "https://evilgood.com" };
    expect(answer([GOOD], evil)).toEqual({ allow: "GET, HEAD, POST, OPTIONS", vary: "Origin" });
    expect(answer([], ASKING)).toEqual({ allow: "GET, HEAD, POST, OPTIONS" });
  });

  test("B18 OPTIONS that is no preflight has Allow", () => {
    const answered = answer([GOOD], { Origin: GOOD });
    expect(answered["allow"]).toBe("GET, HEAD, POST, OPTIONS");
    expect(answered["access-control-allow-origin"]).toBe(GOOD);
    expect(answered).not.toHaveProperty("access-control-allow-methods");
  });

  test("C12 that asks for 10 KB of headers, or for a private network, is told no more than any other", () => {
    const names = Array.from({ length: 1000 }, (_, i) => `x-header-${i}`).join(", ");
    const much = {
      ...ASKING,
      "Access-Control-Request-Headers": names,
      "Access-Control-Request-Private-Network": "true",
    };
    for (const settings of ["any", [GOOD]] as const) {
      expect(answer(settings, much)).toEqual(answer(settings, ASKING));
    }
  });
});

describe("a POST with a cookie", () => {
  const own = "events.example:8080";

  test("C14 is for pages of a listed origin, and of the server's own", () => {
    for (const origin of [GOOD, "http://localhost:5173", `http://${own}`, `https://${own}`]) {
      expect(LISTED.isOriginAllowed(request({ Origin: origin }), own)).toBe(true);
    }
    expect(LISTED.isOriginAllowed(request({ Origin: `http://${own}` }), own.toUpperCase())).toBe(
      true,
    );
  });

  test.each([
    ["another site", "https://evil.com"],
    ["another port", "http://events.example:9090"],
    ["no port", "http://events.example"],
    ["another scheme", "ftp://events.example:8080"],
    ["an extension", "chrome-extension://events.example:8080"],
    ["a user's name before the host", "http://x@events.example:8080"],
    ["a longer host", "http://events.example:8080.evil.com"],
    ["a host as its path", "http://evil.com/events.example:8080"],
    ["a null origin", "null"],
    ["an empty one", ""],
  ])("C14 is not for a page of %s", (_, origin) => {
    for (const settings of ["any", [GOOD], []] as const) {
      expect(createCors(settings).isOriginAllowed(request({ Origin: origin }), own)).toBe(false);
    }
  });

  test("C14 is not for who does not say where it comes from", () => {
    expect(LISTED.isOriginAllowed(request(), own)).toBe(false);
  });

  test("C14 is not for everybody where * may read", () => {
    const any = createCors("any");
    expect(any.isOriginAllowed(request({ Origin: GOOD }), own)).toBe(false);
    expect(any.isOriginAllowed(request({ Origin: `https://${own}` }), own)).toBe(true);
  });

  test("C14 has no own origin without a Host", () => {
    for (const host of [null, ""]) {
      for (const origin of ["http://", "null", "", "http://null"]) {
        expect(LISTED.isOriginAllowed(request({ Origin: origin }), host)).toBe(false);
      }
    }
  });

  test("C14 over TLS is not for the same host's pages without it", () => {
    const over = (origin: string): Request => request({ Origin: origin }, `https://${own}/events`);
    expect(LISTED.isOriginAllowed(over(`https://${own}`), own)).toBe(true);
    expect(LISTED.isOriginAllowed(over(`http://${own}`), own)).toBe(false);
  });
});

test("C10 what a stream is given reaches the wire, beside what it had", async () => {
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(incoming) {
      const body = new ReadableStream({
        type: "direct",
        pull(controller: ReadableStreamDirectController) {
          void controller.write("retry: 1\n\n");
          controller.close();
        },
      });
      return LISTED.apply(incoming, new Response(body, { headers: { Vary: "Accept" } }));
    },
  });
  const good = await fetch(server.url, { headers: { Origin: GOOD } });
  expect(good.headers.get("access-control-allow-origin")).toBe(GOOD);
  expect(good.headers.get("vary")).toBe("Accept, Origin");
  expect(await good.text()).toBe("retry: 1\n\n");
});
