import { createSecretKey } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { ALL, startJwtServer, statusOf } from "./support/callers.ts";
import { type LocalServer, type Settings, startLocalServer } from "./support/server.ts";
import { inSeconds, makeKeyPair, refusal, SECRET, sign, signText } from "./support/tokens.ts";

const AUDIENCE = "headgate-tests";
const rsa = makeKeyPair("RS256");
/** Claims with which a token is accepted: what is refused is refused for what a test changes. */
const GOOD = { headgate: ALL, aud: AUDIENCE };

let bySecret: LocalServer;
let byPublicKey: LocalServer;
let byAudience: LocalServer;

beforeAll(async () => {
  bySecret = await startJwtServer();
  byPublicKey = await startJwtServer({ JWT_PUBLIC_KEY: rsa.pem, JWT_AUDIENCE: AUDIENCE });
  byAudience = await startJwtServer({ JWT_AUDIENCE: AUDIENCE, JWT_ISSUER: "https://id.example/" });
});

afterAll(async () => {
  for (const server of [bySecret, byPublicKey, byAudience]) {
    await server[Symbol.asyncDispose]();
  }
});

/** What a request with this token is answered. */
function withToken({ url }: LocalServer, token: string): Promise<number> {
  return statusOf(`${url}/events/recent`, { Authorization: `Bearer ${token}` });
}

function signed(header: Record<string, unknown>, claims: object = {}, secret = SECRET): string {
  const payload = { sub: "u1", exp: inSeconds(3600), ...GOOD, ...claims };
  return signText(JSON.stringify(header), JSON.stringify(payload), secret);
}

test.each(["HS256", "HS384", "HS512"])("a token of %s is checked by JWT_SECRET", async (alg) => {
  const key = (secret: string) => ({ alg, privateKey: createSecretKey(Buffer.from(secret)) });
  expect(await withToken(bySecret, await sign(key(SECRET.repeat(2)), GOOD))).toBe(401);
  expect(await withToken(bySecret, await sign(key(SECRET), GOOD))).toBe(200);
});

test.each(["RS256", "ES256", "ES384", "EdDSA"])(
  "a token of %s is checked by JWT_PUBLIC_KEY, and another key's is refused",
  async (alg) => {
    const pair = alg === rsa.alg ? rsa : makeKeyPair(alg);
    const settings = { JWT_PUBLIC_KEY: pair.pem, JWT_AUDIENCE: AUDIENCE };
    await using server = await startJwtServer(settings);
    expect(await withToken(server, await sign(pair, GOOD))).toBe(200);
    expect(await withToken(server, await sign(makeKeyPair(alg), GOOD))).toBe(401);
  },
);

test.each(["none", "None", "nOnE", "NONE", ""])(
  "C1 a token with alg %j is refused",
  async (alg) => {
    const forged = signed({ alg, typ: "JWT" });
    const unsigned = forged.slice(0, forged.lastIndexOf(".") + 1);
    for (const server of [bySecret, byPublicKey]) {
      for (const token of [forged, unsigned, unsigned.slice(0, -1), `${unsigned}AA`]) {
        expect([token, await withToken(server, token)]).toEqual([token, 401]);
      }
    }
  },
);

test("C2 a public key is no HMAC secret, in whatever form it is used as one", async () => {
  const der = Buffer.from(rsa.pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
  const secrets = [rsa.pem, rsa.pem.trim(), der.toString("base64"), der.toString("latin1")];
  for (const secret of [...secrets, JSON.stringify(rsa.publicJwk), rsa.publicJwk.n ?? ""]) {
    for (const alg of ["HS256", "HS384", "RS256", "hs256"]) {
      expect(await withToken(byPublicKey, signed({ alg }, {}, secret))).toBe(401);
    }
  }
  expect(await withToken(bySecret, await sign(rsa, GOOD))).toBe(401);
});

test.each<[string, Settings, RegExp]>([
  ["a PEM as JWT_SECRET", { JWT_SECRET: rsa.pem }, /JWT_SECRET/],
  [
    "a secret beside a public key",
    { JWT_SECRET: SECRET, JWT_PUBLIC_KEY: rsa.pem, JWT_AUDIENCE: AUDIENCE },
    /JWT_SECRET.*JWT_PUBLIC_KEY/,
  ],
  ["a public key without JWT_AUDIENCE", { JWT_PUBLIC_KEY: rsa.pem }, /JWT_AUDIENCE/],
  ["no key at all", {}, /JWT_SECRET/],
])("C2 the start refuses %s", async (_, settings, message) => {
  const refused = await refusal(() => startLocalServer({ AUTH: "jwt", ...settings }));
  expect(refused.message).toMatch(message);
});

test.each([
  "../../../../dev/null",
  "/dev/null",
  "' OR 1=1 --",
  "1; DROP TABLE entries",
  "http://127.0.0.1:1/",
  "\0",
])("C3 the kid %p chooses no file, no query and no address", async (kid) => {
  // With an empty secret, which is what /dev/null would be, and with the right one.
  expect(await withToken(bySecret, signed({ alg: "HS256", kid }, {}, " "))).toBe(401);
  expect(await withToken(bySecret, signed({ alg: "HS256", kid }))).toBeOneOf([200, 401]);
  expect(await withToken(byPublicKey, await sign(makeKeyPair("ES256"), GOOD, { kid }))).toBe(401);
});

test("C3 a kid of 10 KB is refused", async () => {
  const kid = "k".repeat(10_000);
  expect(await withToken(bySecret, signed({ alg: "HS256", kid }))).toBe(401);
  expect(await withToken(byPublicKey, await sign(rsa, GOOD, { kid }))).toBe(401);
});

test("C3 keys that a token brings or points to are not used, and nobody is asked for them", async () => {
  const stranger = makeKeyPair("RS256");
  let requests = 0;
  using host = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      requests += 1;
      return Response.json({ keys: [{ ...stranger.publicJwk, kid: "1", alg: "RS256" }] });
    },
  });
  const { href } = host.url;
  const headers = [
    { jku: href },
    { x5u: href },
    { jwk: stranger.publicJwk },
    { kid: href },
    { kid: "1", jku: href, x5u: href, jwk: stranger.publicJwk, x5c: ["AAAA"] },
  ];
  await using byJwks = await startJwtServer({
    JWT_JWKS_URL: `${href}only-this`,
    JWT_AUDIENCE: AUDIENCE,
  });
  // The endpoint that is configured: asked once, and not by the token's wish.
  expect(await withToken(byJwks, await sign(stranger, GOOD))).toBe(200);
  expect(requests).toBe(1);
  for (const header of headers) {
    expect(await withToken(byPublicKey, await sign(stranger, GOOD, header))).toBe(401);
    expect(await withToken(bySecret, await sign(stranger, GOOD, header))).toBe(401);
    expect(await withToken(bySecret, signed({ alg: "HS256", ...header }))).toBeOneOf([200, 401]);
    expect(await withToken(byPublicKey, await sign(rsa, GOOD, header))).toBeOneOf([200, 401]);
  }
  expect(requests).toBe(1);
});

test.each<[string, number, object]>([
  ["no exp", 401, { exp: undefined }],
  ["exp null", 401, { exp: null }],
  ["exp a string", 401, { exp: String(inSeconds(3600)) }],
  ["exp a date", 401, { exp: new Date(Date.now() + 3_600_000).toISOString() }],
  ["exp 1e308", 401, { exp: 1e308 }],
  ["exp in milliseconds, thousands of years away", 401, { exp: 1e15 }],
  ["exp an array", 401, { exp: [inSeconds(3600)] }],
  ["exp 0", 401, { exp: 0 }],
  ["exp negative", 401, { exp: -1 }],
  ["exp beyond the leeway", 401, { exp: inSeconds(-65) }],
  ["exp within the leeway", 200, { exp: inSeconds(-50) }],
  ["exp a fraction", 200, { exp: inSeconds(50) + 0.5 }],
  ["nbf in the future", 401, { nbf: inSeconds(70) }],
  ["nbf within the leeway", 200, { nbf: inSeconds(50) }],
  ["nbf a string", 401, { nbf: "0" }],
  ["iat in the future", 401, { iat: inSeconds(70) }],
  ["iat within the leeway", 200, { iat: inSeconds(50) }],
  ["iat a string", 401, { iat: "0" }],
])("C4 a token with %s is answered %i", async (_, status, claims) => {
  expect(await withToken(bySecret, signed({ alg: "HS256" }, claims))).toBe(status);
  expect(await withToken(byPublicKey, await sign(rsa, { ...GOOD, ...claims }))).toBe(status);
});

test("C4 an exp of NaN or Infinity, which JSON does not know, is refused", async () => {
  for (const exp of ["NaN", "Infinity", "1e999", "01", "-0x1"]) {
    const payload = JSON.stringify({ sub: "u1", ...GOOD, exp: 0 }).replace(
      '"exp":0',
      `"exp":${exp}`,
    );
    expect(payload).toInclude(exp);
    expect(await withToken(bySecret, signText('{"alg":"HS256"}', payload))).toBe(401);
  }
});

test.each<[string, number, object]>([
  ["both", 200, {}],
  ["no aud", 401, { aud: undefined }],
  ["an empty aud", 401, { aud: "" }],
  ["a wrong aud", 401, { aud: "others" }],
  ["an aud that begins alike", 401, { aud: `${AUDIENCE}.evil` }],
  ["an aud in another case", 401, { aud: AUDIENCE.toUpperCase() }],
  ["an aud in a list", 200, { aud: ["others", AUDIENCE] }],
  ["a list without the aud", 401, { aud: ["others"] }],
  ["an empty list", 401, { aud: [] }],
  ["an aud in a list in a list", 401, { aud: [[AUDIENCE]] }],
  ["no iss", 401, { iss: undefined }],
  ["a wrong iss", 401, { iss: "https://id.example" }],
  ["an iss that begins alike", 401, { iss: "https://id.example/evil" }],
  ["the iss in a list", 401, { iss: ["https://id.example/"] }],
])("C5 a token with %s is answered %i", async (_, status, claims) => {
  const token = signed({ alg: "HS256" }, { iss: "https://id.example/", ...claims });
  expect(await withToken(byAudience, token)).toBe(status);
});
