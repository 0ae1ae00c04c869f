import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { JWK } from "jose";
import {
  type KeyPair,
  makeKeyPair,
  principalOf,
  refusal,
  SECRET,
  sign,
  signText,
} from "../../test/support/tokens.ts";
import { RemoteKeys } from "./jwks.ts";
import { JwtAuthenticator } from "./jwt.ts";

const ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"];
const PAIRS = ALGORITHMS.map((alg) => makeKeyPair(alg));
const first = makeKeyPair("ES256");
const second = makeKeyPair("ES256");

/** An endpoint whose answer the test chooses, and an authenticator that uses it, with a clock of its own. */
class Endpoint {
  requests = 0;
  nowMs = 0;
  answer: () => Response | Promise<Response> = () => keySet([{ ...first.publicJwk, kid: "1" }]);
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => {
      this.requests += 1;
      return this.answer();
    },
  });
  readonly authenticator: JwtAuthenticator;

  constructor(timeoutMs = 5_000) {
    const nowMs = (): number => this.nowMs;
    const keys = new RemoteKeys(String(this.#server.url), { timeoutMs, nowMs });
    this.authenticator = new JwtAuthenticator({ defaultClaims: {}, allowQueryToken: false }, keys);
  }

  async userOf(pair: KeyPair, kid?: string): Promise<string | undefined> {
    const token = await sign(pair, {}, kid === undefined ? {} : { kid });
    return (await principalOf(this.authenticator, token)).user;
  }

  async codeOf(pair: KeyPair, kid?: string): Promise<string> {
    return (await refusal(() => this.userOf(pair, kid))).code;
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function keySet(keys: readonly unknown[]): Response {
  return Response.json({ keys });
}

let endpoint: Endpoint;
beforeEach(() => {
  endpoint = new Endpoint();
});
afterEach(() => endpoint.stop());

describe("a key of the set", () => {
  test.each(PAIRS)("of $alg checks tokens of that algorithm", async (pair) => {
    endpoint.answer = () =>
      keySet(PAIRS.map(({ alg, publicJwk }) => ({ ...publicJwk, kid: alg, alg, use: "sig" })));
    expect(await endpoint.userOf(pair, pair.alg)).toBe("u1");
    expect(await endpoint.userOf(pair)).toBe("u1");
    expect(await endpoint.codeOf(makeKeyPair(pair.alg), pair.alg)).toBe("unauthorized");
  });

  test.each(PAIRS)("C2 of $alg checks no others, whatever the header says", async (pair) => {
    endpoint.answer = () => keySet([{ ...pair.publicJwk, kid: "1" }]);
    const strangers = PAIRS.filter(({ publicJwk }) => publicJwk.kty !== pair.publicJwk.kty);
    for (const stranger of strangers) {
      expect(await endpoint.codeOf(stranger, "1")).toBe("unauthorized");
    }
    for (const secret of [pair.pem, JSON.stringify(pair.publicJwk)]) {
      for (const alg of ["HS256", pair.alg]) {
        const forged = signText(JSON.stringify({ alg, kid: "1" }), undefined, secret);
        const { code } = await refusal(() => principalOf(endpoint.authenticator, forged));
        expect(code).toBe("unauthorized");
      }
    }
  });

  const secretJwk = { kty: "oct", k: Buffer.from(SECRET).toString("base64url") };
  test.each<[string, JWK]>([
    ["oct", secretJwk],
    ["oct with a public algorithm", { ...secretJwk, alg: "ES256" }],
    ["oct with a curve", { ...first.publicJwk, ...secretJwk }],
    ["private", first.privateJwk],
    ["for encryption", { ...first.publicJwk, use: "enc" }],
    ["for another operation", { ...first.publicJwk, key_ops: ["deriveKey"] }],
    ["of another algorithm", { ...first.publicJwk, alg: "ES384" }],
    ["not on its curve", { ...first.publicJwk, x: first.publicJwk.y ?? "" }],
    ["without a part", { kty: "EC", crv: "P-256", x: first.publicJwk.x ?? "" }],
    ["too short", makeKeyPair("RS256", { rsaBits: 1024 }).publicJwk],
  ])("C7 that is %s is never used, and leaves the others in use", async (_, jwk) => {
    endpoint.answer = () =>
      keySet([null, 1, "x", [], { ...jwk, kid: "1" }, { ...second.publicJwk, kid: "2" }]);
    expect(await endpoint.codeOf(first, "1")).toBe("unauthorized");
    for (const header of ['{"alg":"HS256","kid":"1"}', '{"alg":"ES256","kid":"1"}']) {
      const { code } = await refusal(() => principalOf(endpoint.authenticator, signText(header)));
      expect(code).toBe("unauthorized");
    }
    expect(await endpoint.userOf(second, "2")).toBe("u1");
  });

  test("is found by its kid alone, and without one by its algorithm", async () => {
    endpoint.answer = () =>
      keySet([
        { ...first.publicJwk, kid: "1" },
        { ...second.publicJwk, kid: "2" },
      ]);
    expect(await endpoint.userOf(second, "2")).toBe("u1");
    expect(await endpoint.codeOf(second, "1")).toBe("unauthorized");
    expect(await endpoint.userOf(first)).toBe("u1");
    expect(await endpoint.userOf(second)).toBe("u1");
  });

  test("is one of at most eight that a token without kid is tried with", async () => {
    const pairs = Array.from({ length: 9 }, () => makeKeyPair("ES256"));
    endpoint.answer = () => keySet(pairs.map(({ publicJwk }) => publicJwk));
    const accepted = await Promise.all(
      pairs.map((pair) => endpoint.userOf(pair).catch(() => undefined)),
    );
    expect(accepted.map((user) => user === "u1")).toEqual([...Array(8).fill(true), false]);
  });

  test.each([["../../dev/null"], ["' OR 1=1 --"], ["__proto__"], [""], ["a".repeat(5_000)]])(
    "C3 is not found by a kid that is not there (%#)",
    async (kid) => {
      expect(await endpoint.codeOf(first, kid)).toBe("unauthorized");
    },
  );
});

describe("the set", () => {
  test("C7 is fetched once for many tokens that come together", async () => {
    const users = await Promise.all(Array.from({ length: 50 }, () => endpoint.userOf(first, "1")));
    expect(new Set(users)).toEqual(new Set(["u1"]));
    expect(endpoint.requests).toBe(1);
  });

  test("C7 is used for ten minutes", async () => {
    await endpoint.userOf(first, "1");
    endpoint.nowMs = 599_999;
    await endpoint.userOf(first, "1");
    expect(endpoint.requests).toBe(1);
    endpoint.nowMs = 600_000;
    await endpoint.userOf(first, "1");
    expect(endpoint.requests).toBe(2);
  });

  test("C7 is fetched again for a kid that is not known: keys rotate while it runs", async () => {
    expect(await endpoint.userOf(first, "1")).toBe("u1");
    endpoint.answer = () =>
      keySet([
        { ...first.publicJwk, kid: "1" },
        { ...second.publicJwk, kid: "2" },
      ]);
    endpoint.nowMs = 1_000;
    expect(await endpoint.userOf(second, "2")).toBe("u1");
    expect(await endpoint.userOf(first, "1")).toBe("u1");
    expect(endpoint.requests).toBe(2);
    // The old key is withdrawn: gone with the next fetch.
    endpoint.answer = () => keySet([{ ...second.publicJwk, kid: "2" }]);
    endpoint.nowMs = 601_000;
    expect(await endpoint.codeOf(first, "1")).toBe("unauthorized");
    expect(await endpoint.userOf(second, "2")).toBe("u1");
  });

  test("C7 is fetched again at most once a second, however many unknown kids come", async () => {
    await endpoint.userOf(first, "1");
    for (const nowMs of [999, 1_000, 1_500, 1_999, 2_000]) {
      endpoint.nowMs = nowMs;
      const codes = await Promise.all(
        Array.from({ length: 20 }, (_, n) => endpoint.codeOf(second, `unknown-${n}`)),
      );
      expect(new Set(codes)).toEqual(new Set(["unauthorized"]));
    }
    expect(endpoint.requests).toBe(3);
  });

  test.each(["HS256", "none", "PS256", "x"])(
    "C3 is not fetched again for a token of %s, which no key of it fits",
    async (alg) => {
      await endpoint.userOf(first, "1");
      endpoint.nowMs = 5_000;
      const token = signText(JSON.stringify({ alg, kid: "unknown" }));
      const { code } = await refusal(() => principalOf(endpoint.authenticator, token));
      expect(code).toBe("unauthorized");
      expect(endpoint.requests).toBe(1);
    },
  );

  test("is empty where its owner has withdrawn all keys", async () => {
    await endpoint.userOf(first, "1");
    endpoint.answer = () => keySet([]);
    endpoint.nowMs = 600_000;
    expect(await endpoint.codeOf(first, "1")).toBe("unauthorized");
  });
});

describe("while the endpoint is down", () => {
  test("C7 the keys stay in use as long as they are valid, and no longer", async () => {
    await endpoint.userOf(first, "1");
    endpoint.answer = () => new Response("down", { status: 500 });
    endpoint.nowMs = 5_000;
    expect(await endpoint.codeOf(second, "2")).toBe("not-ready");
    endpoint.nowMs = 599_999;
    expect(await endpoint.userOf(first, "1")).toBe("u1");
    endpoint.nowMs = 600_000;
    expect(await endpoint.codeOf(first, "1")).toBe("not-ready");
    endpoint.answer = () => keySet([{ ...first.publicJwk, kid: "1" }]);
    endpoint.nowMs = 601_000;
    expect(await endpoint.userOf(first, "1")).toBe("u1");
  });

  test("C7 it is asked once a second, and nobody waits for it in between", async () => {
    endpoint.answer = () => new Response("down", { status: 500 });
    for (const nowMs of [0, 1, 999, 1_000, 1_999]) {
      endpoint.nowMs = nowMs;
      const codes = await Promise.all(
        Array.from({ length: 20 }, () => endpoint.codeOf(first, "1")),
      );
      expect(new Set(codes)).toEqual(new Set(["not-ready"]));
    }
    expect(endpoint.requests).toBe(2);
  });

  test("C7 nothing of it is told to a stranger, and the cause is kept for the log", async () => {
    await endpoint.stop();
    const error = await refusal(() => endpoint.userOf(first, "1"));
    expect(error.code).toBe("not-ready");
    expect(error.message).toBe("The keys that check tokens cannot be fetched now; try again");
    expect(error.details.cause).toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("an endpoint that misbehaves is as good as down:", () => {
  async function failure(of = endpoint): Promise<string> {
    const { code, details } = await refusal(() => of.userOf(first, "1"));
    expect(code).toBe("not-ready");
    return String(details.cause);
  }

  test("C7 a body without end is cut off, not buffered", async () => {
    let sentBytes = 0;
    const cancelled = Promise.withResolvers<void>();
    endpoint.answer = () =>
      new Response(
        new ReadableStream({
          pull: async (controller) => {
            controller.enqueue(new Uint8Array(65_536).fill(0x20));
            sentBytes += 65_536;
            await new Promise(setImmediate);
          },
          cancel: () => cancelled.resolve(),
        }),
      );
    expect(await failure()).toContain("more than 1048576 bytes");
    await cancelled.promise;
    // What the sockets' buffers hold comes on top.
    expect(sentBytes).toBeLessThan(64 * 1024 ** 2);
  });

  test("C7 a compressed body is not unpacked", async () => {
    const bomb = gzipSync(JSON.stringify({ keys: [{ ...first.publicJwk, kid: "1" }] }));
    endpoint.answer = () => new Response(bomb, { headers: { "Content-Encoding": "gzip" } });
    expect(await failure()).toContain("did not answer with a JWK Set");
  });

  test("C7 one that does not answer in time", async () => {
    await using slow = new Endpoint(50);
    slow.answer = () => new Promise(() => undefined);
    expect(await failure(slow)).toContain("timed out");
  });

  test("C7 one that does not end its body in time", async () => {
    await using slow = new Endpoint(50);
    slow.answer = () =>
      new Response(
        new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{"keys":')) }),
      );
    expect(await failure(slow)).toContain("timed out");
  });

  test.each([301, 302, 303, 307, 308])(
    "C7 one that redirects (%d) is not followed",
    async (status) => {
      let visits = 0;
      using target = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch: () => {
          visits += 1;
          return keySet([{ ...first.publicJwk, kid: "1" }]);
        },
      });
      endpoint.answer = () =>
        new Response(null, { status, headers: { Location: String(target.url) } });
      expect(await failure()).toContain(`answered ${status}`);
      expect(visits).toBe(0);
    },
  );

  test.each([
    ["nothing", ""],
    ["null", "null"],
    ["HTML", "<html>s3cret</html>"],
    ["half a set", '{"keys":[{"s3cret"'],
    ["no set", "{}"],
    ["keys that are no list", '{"keys":{"0":{}}}'],
    ["a list", "[]"],
    ["bytes", "\u0000\uFFFF"],
  ])("C7 %s, which is not repeated in a log", async (_, body) => {
    endpoint.answer = () => new Response(body);
    expect(await failure()).toBe("Error: JWT_JWKS_URL did not answer with a JWK Set");
  });

  test("C7 more than 100 keys", async () => {
    const jwk = { ...first.publicJwk, kid: "1" };
    endpoint.answer = () => keySet(Array.from({ length: 101 }, () => jwk));
    expect(await failure()).toContain("101 keys; at most 100");
    endpoint.answer = () => keySet([...Array.from({ length: 99 }, () => null), jwk]);
    endpoint.nowMs = 1_000;
    expect(await endpoint.userOf(first, "1")).toBe("u1");
  });

  test.each([204, 206, 401, 404, 503])("C7 the status %d", async (status) => {
    const body = status === 204 ? null : JSON.stringify({ keys: [] });
    endpoint.answer = () => new Response(body, { status });
    expect(await failure()).toContain(`answered ${status}`);
  });
});
