import { createSecretKey } from "node:crypto";
import { describe, expect, test } from "bun:test";
import {
  hmacToken,
  inSeconds,
  makeKeyPair,
  principalOf,
  refusal,
  SECRET,
  sign,
  signText,
} from "../../test/support/tokens.ts";
import { createAuthenticator } from "./authenticator.ts";
import type { JwtSettings } from "./jwt.ts";
import type { Authenticator, Principal } from "./principal.ts";

const ASYMMETRIC = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"];
const HMAC = ["HS256", "HS384", "HS512"];
const rsa = makeKeyPair("RS256");
const PAIRS = ASYMMETRIC.map((alg) =>
  alg.startsWith("RS") ? Object.assign({}, rsa, { alg }) : makeKeyPair(alg),
);

function authenticator(settings: Partial<JwtSettings>): Authenticator {
  return createAuthenticator({
    mode: "jwt",
    defaultClaims: {},
    allowQueryToken: false,
    ...settings,
  });
}

const bySecret = authenticator({ secret: SECRET });

async function refused(token: string, by = bySecret): Promise<string> {
  const { code, message, details } = await refusal(() => principalOf(by, token));
  expect(code).toBe("unauthorized");
  // jose's errors carry the payload.
  expect(details).toEqual({});
  return message;
}

describe("a signature", () => {
  test.each(HMAC)("C2 with %s is checked by the secret", async (alg) => {
    const privateKey = createSecretKey(Buffer.from(SECRET));
    expect((await principalOf(bySecret, await sign({ alg, privateKey }))).user).toBe("u1");
    const other = createSecretKey(Buffer.from(`${SECRET}.`));
    expect(await refused(await sign({ alg, privateKey: other }))).toContain("signature");
  });

  test.each(PAIRS)("C2 with $alg is checked by the public key", async (pair) => {
    const by = authenticator({ publicKey: pair.pem });
    expect((await principalOf(by, await sign(pair))).user).toBe("u1");
    expect(await refused(await sign(makeKeyPair(pair.alg)), by)).toContain("signature");
  });

  test.each(PAIRS)("C2 by another kind of key than that of $alg is refused", async (pair) => {
    const by = authenticator({ publicKey: pair.pem });
    const others = PAIRS.filter(({ pem }) => pem !== pair.pem);
    expect(others.length).toBeGreaterThanOrEqual(4);
    for (const other of others) {
      expect(await refused(await sign(other), by)).toContain("algorithm");
    }
    expect(await refused(hmacToken(), by)).toContain("algorithm");
    expect(await refused(await sign(pair))).toContain("algorithm");
  });

  test.each(PAIRS)("C2 by the public key of $alg as an HMAC secret is refused", async (pair) => {
    const by = authenticator({ publicKey: pair.pem });
    const { x = "", n = x } = pair.publicJwk;
    for (const secret of [pair.pem, pair.pem.trimEnd(), n, JSON.stringify(pair.publicJwk)]) {
      expect(await refused(signText('{"alg":"HS256"}', undefined, secret), by)).toContain(
        "algorithm",
      );
    }
  });

  test("C2 whose header names the key's algorithm, but is an HMAC by the public key, is refused", async () => {
    const by = authenticator({ publicKey: rsa.pem });
    const token = signText('{"alg":"RS256"}', undefined, rsa.pem);
    expect(await refused(token, by)).toContain("signature");
  });

  test.each([["PS256"], ["PS384"], ["PS512"]])(
    "C2 with %s, which is none of ours, is refused",
    async (alg) => {
      const by = authenticator({ publicKey: rsa.pem });
      expect(await refused(await sign({ alg, privateKey: rsa.privateKey }), by)).toContain(
        "algorithm",
      );
    },
  );

  test("of Ed25519 goes by its old name and by its new one", async () => {
    const pair = makeKeyPair("EdDSA");
    const by = authenticator({ publicKey: pair.pem });
    const token = await sign({ alg: "Ed25519", privateKey: pair.privateKey });
    expect((await principalOf(by, token)).user).toBe("u1");
  });
});

describe("an algorithm", () => {
  const publicKeyed = authenticator({ publicKey: rsa.pem });

  test.each([["none"], ["None"], ["nOnE"], ["NONE"], ["none "], [""], ["hs256"], ["HS256 "]])(
    "C1 %j is refused, whatever the signature is",
    async (alg) => {
      const signed = signText(JSON.stringify({ alg }));
      const unsigned = signed.slice(0, signed.lastIndexOf(".") + 1);
      for (const token of [signed, unsigned, `${unsigned}AA`]) {
        expect(await refused(token)).toMatch(/algorithm|form|malformed/);
        expect(await refused(token, publicKeyed)).toMatch(/algorithm|form|malformed/);
      }
    },
  );

  test.each([
    ["{}"],
    ['{"alg":null}'],
    ['{"alg":["HS256"]}'],
    ['{"alg":{"toString":"HS256"}}'],
    ['{"alg":"__proto__"}'],
    ['{"alg":"constructor"}'],
    ['{"ALG":"HS256"}'],
    ["null"],
    ["[]"],
    ['"HS256"'],
    ["{"],
    [""],
    ["\uFEFF{}"],
  ])("C1 that the header %s names is refused", async (header) => {
    expect(await refused(signText(header))).toMatch(/algorithm|header|form/);
  });
});

describe("a header", () => {
  test.each([
    [{ kid: "../../dev/null" }],
    [{ kid: "/dev/null" }],
    [{ kid: "x' UNION SELECT 'secret" }],
    [{ kid: "a".repeat(5_000) }],
    [{ kid: "" }],
    [{ typ: "at+jwt", cty: "JWT" }],
  ])("C3 decides nothing about a key that is configured (%#)", async (extra) => {
    const header = JSON.stringify({ alg: "HS256", ...extra });
    expect((await principalOf(bySecret, signText(header))).user).toBe("u1");
    expect(await refused(signText(header, undefined, "another secret"))).toContain("signature");
    expect(await refused(signText(header, undefined, ""))).toContain("signature");
  });

  test("C3 with a kid of 10 KB is too long, and one that is no text is malformed", async () => {
    const long = signText(JSON.stringify({ alg: "HS256", kid: "a".repeat(10_000) }));
    expect(await refused(long)).toContain("longer");
    for (const kid of [1, null, ["a"], { a: 1 }]) {
      expect(await refused(signText(JSON.stringify({ alg: "HS256", kid })))).toContain("header");
    }
  });

  test("C3 cannot bring its own key: nothing is fetched, and the embedded key does not count", async () => {
    let requests = 0;
    const stranger = makeKeyPair("RS256");
    const jwk = { ...stranger.publicJwk, kid: "mine" };
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => {
        requests += 1;
        return Response.json({ keys: [jwk] });
      },
    });
    const url = String(server.url);
    const by = authenticator({ publicKey: rsa.pem });
    for (const header of [{ jwk }, { jku: url }, { x5u: url }, { x5c: ["MIIB"] }]) {
      const forged = await sign(stranger, {}, { kid: "mine", ...header });
      expect(await refused(forged, by)).toContain("signature");
      const honest = await sign(rsa, {}, { kid: "mine", ...header });
      expect((await principalOf(by, honest)).user).toBe("u1");
    }
    expect(requests).toBe(0);
  });

  test.each([
    [{ crit: ["exp"], exp: 1 }],
    [{ crit: [] }],
    [{ crit: "b64", b64: true }],
    [{ crit: ["b64"], b64: false }],
    [{ crit: ["__proto__"] }],
  ])("C3 that demands what is not known here is refused: %j", async (extra) => {
    expect(await refused(signText(JSON.stringify({ alg: "HS256", ...extra })))).toContain(
      "malformed",
    );
  });
});

describe("a time", () => {
  const withPayload = (payload: string): string => signText('{"alg":"HS256"}', payload);

  test("C4 exp is needed", async () => {
    expect(await refused(withPayload('{"sub":"u1"}'))).toContain("exp is missing");
  });

  test.each([
    ['"9999999999"'],
    ['"NaN"'],
    ["null"],
    ["true"],
    ["[9999999999]"],
    ["{}"],
    ["1e308"],
    ["1e309"],
    ["8640000000001"],
  ])("C4 exp cannot be %s", async (exp) => {
    expect(await refused(withPayload(`{"exp":${exp}}`))).toContain("exp is malformed");
  });

  test.each([["0"], ["-1"], ["-1e308"], ["1.5"]])("C4 exp %s is long past", async (exp) => {
    expect(await refused(withPayload(`{"exp":${exp}}`))).toContain("expired");
  });

  test.each(["nbf", "iat"])("C4 %s must be a number that can be a time", async (claim) => {
    for (const value of ['"1"', "null", "1e309", "true"]) {
      const token = withPayload(`{"exp":${inSeconds(60)},"${claim}":${value}}`);
      expect(await refused(token)).toMatch(new RegExp(`${claim} (is malformed|lies)`));
    }
  });

  test("C4 the leeway is 60 seconds in either direction", async () => {
    for (const claims of [
      { exp: inSeconds(-55) },
      { nbf: inSeconds(55) },
      { iat: inSeconds(55) },
      { nbf: inSeconds(-1e6), iat: inSeconds(-1e6) },
    ]) {
      expect((await principalOf(bySecret, hmacToken(claims))).user).toBe("u1");
    }
    expect(await refused(hmacToken({ exp: inSeconds(-61) }))).toContain("expired");
    expect(await refused(hmacToken({ nbf: inSeconds(65) }))).toContain("nbf lies in the future");
    expect(await refused(hmacToken({ iat: inSeconds(65) }))).toContain("iat lies in the future");
  });

  test.each([["[]"], ["null"], ["1"], ['"x"'], ["{"], [""], ["\u0000"]])(
    "C4 is nowhere in the payload %j",
    async (payload) => {
      expect(await refused(withPayload(payload))).toMatch(/malformed|form/);
    },
  );
});

describe("an audience and an issuer", () => {
  const by = authenticator({ secret: SECRET, issuer: "https://id.example", audience: "headgate" });
  const iss = "https://id.example";
  const accepted = (claims: Record<string, unknown>): Promise<Principal> =>
    principalOf(by, hmacToken(claims));

  test("C5 are checked where they are set, and ignored where not", async () => {
    expect((await accepted({ iss, aud: "headgate" })).user).toBe("u1");
    expect((await accepted({ iss, aud: ["other", "headgate"] })).user).toBe("u1");
    const anything = hmacToken({ iss: "x", aud: ["y"] });
    expect((await principalOf(bySecret, anything)).user).toBe("u1");
  });

  test.each([
    [{ iss }, "aud is missing"],
    [{ iss, aud: "Headgate" }, "aud is not"],
    [{ iss, aud: "headgate2" }, "aud is not"],
    [{ iss, aud: [] }, "aud is not"],
    [{ iss, aud: [["headgate"]] }, "aud is not"],
    [{ iss, aud: { 0: "headgate" } }, "aud is not"],
    [{ iss, aud: null }, "aud is not"],
    [{ aud: "headgate" }, "iss is missing"],
    [{ aud: "headgate", iss: "https://id.example/" }, "iss is not"],
    [{ aud: "headgate", iss: "https://ID.example" }, "iss is not"],
    [{ aud: "headgate", iss: [iss] }, "iss is not"],
    [{ aud: "headgate", iss: null }, "iss is not"],
  ])("C5 are refused in %j", async (claims, reason) => {
    expect(await refused(hmacToken(claims), by)).toContain(reason);
  });

  test("C5 are not looked at before the signature", async () => {
    const token = signText('{"alg":"HS256"}', JSON.stringify({ exp: 1 }), "another secret");
    expect(await refused(token, by)).toContain("signature");
  });
});
