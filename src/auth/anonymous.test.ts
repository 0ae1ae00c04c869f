import { expect, test } from "bun:test";
import { credentials, refusal } from "../../test/support/tokens.ts";
import { createAuthenticator } from "./authenticator.ts";
import type { Authenticator, Principal } from "./principal.ts";

const FORBIDDEN = {
  mode: "none",
  allowAnonymousPublish: false,
  allowAnonymousUsers: false,
  allowQueryToken: false,
} as const;

function authenticate(
  authenticator: Authenticator,
  ...[headers = {}, options = {}]: Partial<Parameters<typeof credentials>>
): Principal {
  const principal = authenticator.authenticate(credentials(headers, options));
  if (principal instanceof Promise) throw new Error("Nothing has to be waited for");
  return principal;
}

test("anybody may read everything, join every channel and see the status", () => {
  expect(authenticate(createAuthenticator(FORBIDDEN))).toEqual({
    user: undefined,
    username: undefined,
    clientId: undefined,
    mayNameItself: false,
    subscribe: ["*"],
    publish: [],
    channels: ["*"],
    status: true,
    token: undefined,
  });
});

test("whoever is on this machine may publish and name itself", () => {
  const principal = authenticate(createAuthenticator(FORBIDDEN), {}, { isLocal: () => true });
  expect(principal).toMatchObject({ publish: ["*"], mayNameItself: true });
});

test("publishing and naming oneself can be allowed to all, each for itself", () => {
  const publishers = createAuthenticator({ ...FORBIDDEN, allowAnonymousPublish: true });
  expect(authenticate(publishers)).toMatchObject({ publish: ["*"], mayNameItself: false });
  const users = createAuthenticator({ ...FORBIDDEN, allowAnonymousUsers: true });
  expect(authenticate(users)).toMatchObject({ publish: [], mayNameItself: true });
});

test("where both are allowed to all, nobody asks where a request comes from", () => {
  const open = { ...FORBIDDEN, allowAnonymousPublish: true, allowAnonymousUsers: true };
  const principal = authenticate(
    createAuthenticator(open),
    {},
    {
      isLocal: () => {
        throw new Error("Asked");
      },
    },
  );
  expect(principal).toMatchObject({ publish: ["*"], mayNameItself: true });
});

test("a principal does not hold on to its request", () => {
  const authenticator = createAuthenticator(FORBIDDEN);
  expect(authenticate(authenticator, { a: "1" })).toBe(authenticate(authenticator, { a: "2" }));
});

test("tokens are ignored, whatever they are", () => {
  const authenticator = createAuthenticator(FORBIDDEN);
  const headers = { authorization: "Basic nonsense", cookie: "headgate_token=x" };
  expect(authenticate(authenticator, headers).user).toBeUndefined();
  const allowed = createAuthenticator({ ...FORBIDDEN, allowQueryToken: true });
  expect(authenticate(allowed, {}, { query: "?token=x" }).user).toBeUndefined();
});

test("C8 a token in the query is refused where none is allowed there, also without AUTH", async () => {
  const authenticator = createAuthenticator(FORBIDDEN);
  const error = await refusal(() =>
    authenticator.authenticate(credentials({}, { query: "?topics=a&token=very-secret" })),
  );
  expect(error.code).toBe("unauthorized");
  expect(error.message).not.toContain("very-secret");
});

test("a stream without a token does not expire", () => {
  const authenticator = createAuthenticator(FORBIDDEN);
  const principal = authenticate(authenticator);
  authenticator.onExpired(principal);
  expect(authenticate(authenticator)).toBe(principal);
});
