import { describe, expect, test } from "bun:test";
import {
  credentials,
  hmacToken,
  makeKeyPair,
  principalOf,
  refusal,
  SECRET,
  sign,
} from "../../test/support/tokens.ts";
import type { Claims } from "./claims.ts";
import { JwtAuthenticator } from "./jwt.ts";
import { publicKey, secretKey, type VerificationKey } from "./keys.ts";

const EXP = 2_000_000_000;
const EXP_MS = EXP * 1000;

/** An authenticator with a clock that the test moves. */
function withClock(key: VerificationKey, defaultClaims: Claims = {}) {
  const clock = { nowMs: EXP_MS - 3_600_000 };
  const settings = { defaultClaims, allowQueryToken: true };
  return {
    clock,
    authenticator: new JwtAuthenticator(
      settings,
      { find: () => [key] },
      { nowMs: () => clock.nowMs },
    ),
  };
}

const { authenticator } = withClock(secretKey(SECRET));
const token = (claims: Readonly<Record<string, unknown>>): string =>
  hmacToken({ exp: EXP, ...claims });

describe("a principal", () => {
  test("is who its token says, and may do what its token says", async () => {
    const headgate = {
      subscribe: ["a*"],
      publish: ["b"],
      channels: ["c"],
      client: "d",
      status: true,
    };
    expect(
      await principalOf(authenticator, token({ preferred_username: "Ann", headgate })),
    ).toEqual({
      user: "u1",
      username: "Ann",
      clientId: "d",
      mayNameItself: false,
      subscribe: ["a*"],
      publish: ["b"],
      channels: ["c"],
      status: true,
      token: { from: "header", expiresAtMs: EXP_MS },
    });
  });

  test("may do nothing that is not named, and has no name of its own, even on this machine", async () => {
    const principal = await authenticator.authenticate(
      credentials(
        { authorization: `Bearer ${token({ sub: undefined })}` },
        { isLocal: () => true },
      ),
    );
    expect(principal).toMatchObject({ subscribe: [], publish: [], channels: [], status: false });
    expect(principal).toMatchObject({ user: undefined, clientId: undefined, mayNameItself: false });
  });

  test("may do what the default claims say as well", async () => {
    const defaults = { subscribe: ["public"], status: true };
    const { authenticator: generous } = withClock(secretKey(SECRET), defaults);
    const principal = await principalOf(generous, token({ headgate: { subscribe: ["own"] } }));
    expect(principal).toMatchObject({ subscribe: ["public", "own"], publish: [], status: true });
  });

  test("knows by which way its token came", async () => {
    const text = token({});
    const inQuery = credentials({}, { query: `?token=${text}` });
    const inCookie = credentials({ cookie: `headgate_token=${text}` });
    expect((await authenticator.authenticate(inQuery)).token?.from).toBe("query");
    expect((await authenticator.authenticate(inCookie)).token?.from).toBe("cookie");
  });

  test.each([
    [{ preferred_username: "a", name: "b" }, "a"],
    [{ preferred_username: 1, name: "b" }, "b"],
    [{ preferred_username: "", name: "b" }, "b"],
    [{ name: ["b"] }, undefined],
    [{ name: "x".repeat(200) }, "x".repeat(128)],
    [{ name: `${"x".repeat(127)}😀` }, `${"x".repeat(127)}\uFFFD`],
  ])("is called, in %j, %j", async (claims, username) => {
    expect((await principalOf(authenticator, token(claims))).username).toBe(username);
  });
});

describe("a malformed claim makes a token bad, and is named without its value:", () => {
  test.each([
    ["sub", { sub: "" }],
    ["sub", { sub: null }],
    ["sub", { sub: 4711 }],
    ["sub", { sub: "s3cret\u0000" }],
    ["sub", { sub: "s3cret\r\ndata: x" }],
    ["sub", { sub: "s3cret\u0085" }],
    ["sub", { sub: "s3cret\ud800" }],
    ["sub", { sub: "s3cret".repeat(22) }],
    ["headgate", { headgate: "s3cret" }],
    ["headgate", { headgate: null }],
    ["headgate.publish", { headgate: { publish: "s3cret" } }],
    ["headgate.subscribe.1", { headgate: { subscribe: ["a", { s3cret: 1 }] } }],
    ["headgate.client", { headgate: { client: "s3cret s3cret" } }],
    ["headgate.status", { headgate: { status: "s3cret" } }],
  ])("%s (%#)", async (claim, claims) => {
    const error = await refusal(() => principalOf(authenticator, token(claims)));
    expect(error.code).toBe("unauthorized");
    expect(error.message).toBe(`The token is not accepted: its claim ${claim} is malformed`);
  });

  test("a sub of 128 characters, emoji among them, is none", async () => {
    const sub = `${"x".repeat(126)}😀`;
    expect((await principalOf(authenticator, token({ sub }))).user).toBe(sub);
  });

  test("a name that is not known here is none, and gives nothing", async () => {
    const headgate = JSON.parse('{"admin":true,"__proto__":{"publish":["*"]}}');
    expect((await principalOf(authenticator, token({ headgate }))).publish).toEqual([]);
  });
});

describe("a token that expires", () => {
  test("C4 ends its stream at exp, and where it came within the leeway, at the leeway's end", async () => {
    const { authenticator: timed, clock } = withClock(secretKey(SECRET));
    const text = token({});
    const expiryAt = async (nowMs: number): Promise<number | undefined> => {
      clock.nowMs = nowMs;
      return (await principalOf(timed, text)).token?.expiresAtMs;
    };
    expect(await expiryAt(EXP_MS - 1)).toBe(EXP_MS);
    expect(await expiryAt(EXP_MS)).toBe(EXP_MS + 60_000);
    expect(await expiryAt(EXP_MS + 59_999)).toBe(EXP_MS + 60_000);
    clock.nowMs = EXP_MS + 60_000;
    expect((await refusal(() => principalOf(timed, text))).message).toContain("expired");
  });

  test("C6 is refused within the leeway once it has ended a stream", async () => {
    const { authenticator: timed, clock } = withClock(secretKey(SECRET));
    const principal = await principalOf(timed, token({}));
    clock.nowMs = EXP_MS + 1;
    const other = token({ sub: "u2" });
    timed.onExpired(principal);
    expect(await refusal(() => principalOf(timed, token({})))).toMatchObject({
      code: "unauthorized",
      message: "The token is not accepted: it has expired; get a new one",
    });
    expect((await principalOf(timed, other)).user).toBe("u2");
    const renewed = token({ exp: EXP + 3600 });
    expect((await principalOf(timed, renewed)).user).toBe("u1");
  });

  test("C6 is known again by what it says, whatever its signature looks like", async () => {
    const pair = makeKeyPair("ES256");
    const { authenticator: timed, clock } = withClock(publicKey(pair.pem));
    const text = await sign(pair, { exp: EXP });
    const principal = await principalOf(timed, text);
    // (r, n − s) is a signature as good as (r, s).
    const [header, payload, signature = ""] = text.split(".");
    const bytes = Buffer.from(signature, "base64url");
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const s = order - BigInt(`0x${bytes.subarray(32).toString("hex")}`);
    bytes.write(s.toString(16).padStart(64, "0"), 32, "hex");
    const twin = `${header}.${payload}.${bytes.toString("base64url")}`;
    clock.nowMs = EXP_MS + 1;
    expect((await principalOf(timed, twin)).user).toBe("u1");
    timed.onExpired(principal);
    expect((await refusal(() => principalOf(timed, twin))).message).toContain("expired");
  });

  test("is forgotten with its principal: one of another authenticator means nothing", async () => {
    const { authenticator: timed } = withClock(secretKey(SECRET));
    timed.onExpired(await principalOf(authenticator, token({})));
    expect((await principalOf(timed, token({}))).user).toBe("u1");
  });
});
