import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { credentials, hmacToken, refusal } from "../../test/support/tokens.ts";
import { HeadgateError } from "../errors.ts";
import { type PresentedToken, readToken } from "./credentials.ts";

const TOKEN = hmacToken();
const OTHER = hmacToken({ sub: "u2" });

function read(
  headers: Record<string, string>,
  { query = "", allowQueryToken = true } = {},
): PresentedToken {
  return readToken(credentials(headers, { query }), allowQueryToken);
}

describe("a token is found", () => {
  test.each([["Bearer"], ["bearer"], ["BEARER"], ["bEaReR"]])(
    "C9 in the header, with the scheme %s",
    (scheme) => {
      const found = read({ authorization: `${scheme} ${TOKEN}` });
      expect(found).toEqual({ text: TOKEN, from: "header" });
    },
  );

  test("in the header first, then in the query, then in the cookie", () => {
    const authorization = `Bearer ${TOKEN}`;
    const cookie = `theme=dark; headgate_token=${OTHER}; x=y`;
    const query = `?topics=a&token=${TOKEN}`;
    expect(read({ authorization, cookie }, { query: `?token=${OTHER}` }).from).toBe("header");
    expect(read({ cookie }, { query })).toEqual({ text: TOKEN, from: "query" });
    expect(read({ cookie })).toEqual({ text: OTHER, from: "cookie" });
  });

  test("in a query whose name or value is percent-encoded", () => {
    expect(read({}, { query: `?tok%65n=${TOKEN.replaceAll(".", "%2E")}` }).text).toBe(TOKEN);
  });

  test("up to a length of 8 KiB", async () => {
    const signature = "A".repeat(43);
    const longest = `${"A".repeat(8192 - 46)}.A.${signature}`;
    expect(read({ authorization: `Bearer A${longest.slice(2)}` }).text).toHaveLength(8191);
    expect(read({ authorization: `Bearer ${longest}` }).text).toHaveLength(8192);
    const error = await refusal(() => read({ authorization: `Bearer A${longest}` }));
    expect(error.message).toContain("longer than 8192 characters");
  });
});

describe("a token is refused", () => {
  const unauthorized = async (...args: Parameters<typeof read>): Promise<string> => {
    const { code, message, details } = await refusal(() => read(...args));
    expect(code).toBe("unauthorized");
    expect(details.cause).toBeUndefined();
    return message;
  };

  test("where there is none, and the message says where to put one", async () => {
    expect(await unauthorized({})).toContain("A token is needed");
    expect(await unauthorized({})).toContain("or in the parameter token");
    expect(await unauthorized({}, { allowQueryToken: false })).not.toContain("parameter");
    expect(await unauthorized({ cookie: "theme=headgate_token; headgate_tokens=1" })).toContain(
      "A token is needed",
    );
  });

  test.each([
    [""],
    ["Bearer"],
    ["Bearer "],
    [`Bearer ${TOKEN}, Bearer ${OTHER}`],
    [`Bearer ${TOKEN},${OTHER}`],
    [`Bearer ${TOKEN} ${OTHER}`],
    [`Bearer\t${TOKEN}`],
    [`Basic ${TOKEN}`],
    [`DPoP ${TOKEN}`],
    [TOKEN],
    [`Bearer${TOKEN}`],
  ])("C9 in the header %#, whatever else the request has", async (authorization) => {
    const cookie = `headgate_token=${TOKEN}`;
    expect(await unauthorized({ authorization, cookie })).toContain("the header Authorization");
  });

  test.each([
    ["%token"],
    ["a.b.c d"],
    ["a.b"],
    ["a.b."],
    [".."],
    ["a.b.c.d"],
    ["a..c"],
    ["a.b.c="],
    ["a.b.é"],
    [TOKEN.replace(".", "\u0000.")],
    ["-".repeat(7000)],
  ])("C9 without the form of a JWT (%#)", async (token) => {
    const query = `?token=${encodeURIComponent(token)}`;
    expect(await unauthorized({}, { query })).toContain("the form of a signed JWT");
  });

  test("C9 as a JWE, which has five parts", async () => {
    expect(await unauthorized({ authorization: "Bearer a.b.c.d.e" })).toContain("JWE");
  });

  test("where its signature has another text for the same bytes", async () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const last = alphabet.indexOf(TOKEN.slice(-1));
    const twin = `${TOKEN.slice(0, -1)}${alphabet.charAt(last + 1)}`;
    expect(Buffer.from(twin.split(".")[2] ?? "", "base64url")).toEqual(
      Buffer.from(TOKEN.split(".")[2] ?? "", "base64url"),
    );
    expect(await unauthorized({ authorization: `Bearer ${twin}` })).toContain("form");
  });

  test.each([
    [`?token=${TOKEN}&token=${TOKEN}`],
    [`?token=${TOKEN}&tok%65n=${OTHER}`],
    [`?token&token=${TOKEN}`],
  ])("C9 in the query twice (%#)", async (query) => {
    expect(await unauthorized({}, { query })).toContain("given twice");
    expect(await unauthorized({ authorization: `Bearer ${TOKEN}` }, { query })).toContain("twice");
  });

  test("in two cookies: which of them somebody else has set is not known", async () => {
    const cookie = `headgate_token=${OTHER}; headgate_token=${TOKEN}`;
    expect(await unauthorized({ cookie })).toContain("given twice");
  });

  test.each([["?token"], ["?token="], ["?token=%"], ["?token=%FF"], ["?token=a+b"]])(
    "C9 that is empty or does not decode: %s",
    async (query) => {
      expect(await unauthorized({}, { query })).toContain("not accepted");
    },
  );

  test("in a cookie that is empty", async () => {
    expect(await unauthorized({ cookie: "headgate_token=" })).toContain("not accepted");
  });
});

describe("where no token may be in the query", () => {
  test.each([
    [`?token=${TOKEN}`],
    [`?topics=a&token=${TOKEN}&x=y`],
    [`?%74oken=${TOKEN}`],
    [`?%74%6F%6b%65%6E=${TOKEN}`],
    ["?token="],
    ["?token"],
    ["?token=very-secret"],
  ])("C8 one is refused, beside a good one as well, and not repeated (%#)", async (query) => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const error = await refusal(() => read(headers, { query, allowQueryToken: false }));
    expect(error.code).toBe("unauthorized");
    expect(error.message).toContain("SSE_ALLOW_QUERY_TOKEN");
    expect(error.message).not.toMatch(/very-secret|eyJ/);
  });

  test.each([
    [""],
    ["?tokens=1"],
    ["?Token=1"],
    ["?a=token"],
    ["?a=1#&token=1"],
    ["?%=1"],
    ["?%FF"],
  ])("the query %s is none of our business", (query) => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect(read(headers, { query, allowQueryToken: false }).text).toBe(TOKEN);
  });
});

describe("over a real connection", () => {
  /** Answers with where the token was found, or 401. */
  function serve(): Bun.Server<undefined> {
    return Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: ({ headers, url }) => {
        try {
          return new Response(readToken({ headers, url, isLocal: () => false }, true).from);
        } catch (error) {
          return new Response("", { status: error instanceof HeadgateError ? 401 : 500 });
        }
      },
    });
  }

  /** The status of a request with these header lines. */
  function statusOf(port: number, lines: readonly string[]): Promise<string | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    let answer = "";
    const head = ["GET /events HTTP/1.1", "Host: localhost", "Connection: close", ...lines];
    const socket = connect(port, "127.0.0.1", () => socket.write(`${head.join("\r\n")}\r\n\r\n`));
    socket.on("data", (bytes) => (answer += bytes.toString()));
    socket.on("close", () => resolve(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]));
    socket.on("error", reject);
    return promise;
  }

  test.each([
    ["one header", [`Authorization: Bearer ${TOKEN}`], "200"],
    ["spaces around", [`Authorization:   Bearer   ${TOKEN}  `], "200"],
    ["lower case", [`authorization: bearer ${TOKEN}`], "200"],
    ["two headers", [`Authorization: Bearer ${TOKEN}`, `Authorization: Bearer ${OTHER}`], "401"],
    ["the same twice", [`Authorization: Bearer ${TOKEN}`, `Authorization: Bearer ${TOKEN}`], "401"],
    ["an empty header", ["Authorization:", `Cookie: headgate_token=${TOKEN}`], "401"],
    ["a cookie", [`Cookie: headgate_token=${TOKEN}`], "200"],
    ["two cookies", [`Cookie: headgate_token=${TOKEN}`, `Cookie: headgate_token=${OTHER}`], "401"],
    ["a token of 9 KiB", [`Authorization: Bearer ${"A".repeat(9 * 1024)}`], "401"],
    // Bun's own bound, before anything of ours runs.
    ["a token of 100 KiB", [`Authorization: Bearer ${"A".repeat(100 * 1024)}`], "431"],
  ])("C9 %s", async (_, lines, status) => {
    using server = serve();
    expect(await statusOf(server.port ?? 0, lines)).toBe(status);
  });
});
