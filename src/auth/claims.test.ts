import { expect, test } from "bun:test";
import { Claims, grantedBy, TokenClaims } from "./claims.ts";

test("default claims and a token's own are granted together, each pattern once", () => {
  const granted = grantedBy(
    { subscribe: ["public.*", "news"], status: false },
    { subscribe: ["news", "orders"], publish: ["orders"], channels: ["*"] },
  );
  expect(granted).toEqual({
    subscribe: ["public.*", "news", "orders"],
    publish: ["orders"],
    channels: ["*"],
    clientId: undefined,
    status: false,
  });
});

test("nothing is granted by no claims", () => {
  expect(grantedBy({}, {})).toEqual({
    subscribe: [],
    publish: [],
    channels: [],
    clientId: undefined,
    status: false,
  });
});

test.each([
  [true, undefined, true],
  [undefined, true, true],
  [true, false, true],
  [false, undefined, false],
] as const)("status %p by default and %p in the token is %p", (byDefault, own, expected) => {
  expect(grantedBy({ status: byDefault }, { status: own }).status).toBe(expected);
});

test("a token's client id comes before the default one", () => {
  expect(grantedBy({ client: "a" }, { client: "b" }).clientId).toBe("b");
  expect(grantedBy({ client: "a" }, {}).clientId).toBe("a");
});

test("an unknown name is refused in the default claims, and grants nothing in a token", () => {
  const unknown = { subscribe: ["a"], admin: true };
  expect(Claims.safeParse(unknown).success).toBe(false);
  expect(TokenClaims.parse(unknown)).toEqual({ subscribe: ["a"] });
});

test.each([
  [null],
  ["*"],
  [["*"]],
  [{ subscribe: "*" }],
  [{ subscribe: [1] }],
  [{ publish: [""] }],
  [{ channels: { 0: "*" } }],
  [{ client: "" }],
  [{ client: "a b" }],
  [{ client: "a".repeat(65) }],
  [{ client: ["a"] }],
  [{ status: "true" }],
  [{ status: 1 }],
  [{ status: null }],
])("the claims %j are malformed", (claims) => {
  expect(Claims.safeParse(claims).success).toBe(false);
  expect(TokenClaims.safeParse(claims).success).toBe(false);
});
