import fc from "fast-check";
import { expect, test } from "bun:test";
import {
  credentials,
  hmacToken,
  inSeconds,
  makeKeyPair,
  principalOf,
  refusal,
  SECRET,
  sign,
} from "../../test/support/tokens.ts";
import { createAuthenticator } from "./authenticator.ts";
import type { JwtSettings } from "./jwt.ts";
import { runs } from "../../test/support/effort.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".split("");

type Mutation = (token: string) => string;

const place = fc.nat();
const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...ALPHABET) },
  fc.constantFrom(".", "=", "+", "/", " ", ",", "%", "\u0000", "é", "😀"),
  fc.string({ maxLength: 20 }),
);

/** Writes a text over some characters. */
const overwritten = fc
  .tuple(place, piece, fc.nat(3))
  .map(([at, text, removed]): Mutation => (token) => {
    const start = at % (token.length + 1);
    return token.slice(0, start) + text + token.slice(start + removed);
  });

/** Turns one bit of one part. */
const flipped = fc.tuple(fc.nat(2), place, fc.nat(7)).map(
  ([index, at, bit]): Mutation =>
    (token) =>
      withPart(token, index, (part) => {
        const bytes = Buffer.from(part, "base64url");
        const byte = at % bytes.length;
        bytes[byte] = (bytes[byte] ?? 0) ^ (1 << bit);
        return bytes.toString("base64url");
      }),
);

/** Puts one part in another's place. */
const swapped = fc.tuple(fc.nat(2), fc.nat(2)).map(([from, to]): Mutation => (token) => {
  return withPart(token, to, () => token.split(".")[from] ?? "");
});

/** The last character of a signature may hold bits that are not used. */
const endedOtherwise = fc.constantFrom(...ALPHABET).map(
  (last): Mutation =>
    (token) =>
      token.slice(0, -1) + last,
);

const cut = place.map(
  (at): Mutation =>
    (token) =>
      token.slice(0, at % token.length),
);

/** Claims that would be worth something, in the place of those that were signed. */
const forged = fc
  .record({
    sub: fc.string(),
    exp: fc.integer({ min: inSeconds(60) }),
    headgate: fc.constant({ publish: ["*"], status: true }),
  })
  .map((claims): Mutation => (token) => {
    return withPart(token, 1, () => Buffer.from(JSON.stringify(claims)).toString("base64url"));
  });

const mutation = fc.oneof(overwritten, flipped, swapped, endedOtherwise, cut, forged);

function withPart(token: string, index: number, change: (part: string) => string): string {
  const parts = token.split(".");
  return parts.map((part, at) => (at === index ? change(part) : part)).join(".");
}

const KINDS: readonly {
  name: string;
  settings: Partial<JwtSettings>;
  token: () => string | Promise<string>;
}[] = [
  { name: "HS256", settings: { secret: SECRET }, token: hmacToken },
  ...["RS256", "ES256", "ES512", "EdDSA"].map((name) => {
    const pair = makeKeyPair(name);
    return { name, settings: { publicKey: pair.pem }, token: () => sign(pair) };
  }),
];

test.each(KINDS)(
  "C2 no mutation of a good $name token is accepted, and each is refused in the same way",
  async ({ settings, token }) => {
    const authenticator = createAuthenticator({
      mode: "jwt",
      defaultClaims: {},
      allowQueryToken: true,
      ...settings,
    });
    const good = await token();
    expect((await principalOf(authenticator, good)).user).toBe("u1");
    const present = (text: string): unknown =>
      authenticator.authenticate(
        credentials({}, { query: `?token=${encodeURIComponent(text.toWellFormed())}` }),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async (changes) => {
        const mutated = changes.reduce((text, change) => change(text), good);
        fc.pre(mutated !== good);
        const { code, message } = await refusal(() => present(mutated));
        expect(code).toBe("unauthorized");
        expect(message).not.toContain(good.slice(10, 20));
      }),
      { numRuns: runs(400) },
    );
  },
);
