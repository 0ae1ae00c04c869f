import { refuseQueryToken } from "./credentials.ts";
import type { Authenticator, Patterns, Principal } from "./principal.ts";

export interface AnonymousSettings {
  readonly allowAnonymousPublish: boolean;
  readonly allowAnonymousUsers: boolean;
  /** Whether `?token=` may be there; it is ignored even then. */
  readonly allowQueryToken: boolean;
}

const EVERYTHING: Patterns = ["*"];
const NOTHING: Patterns = [];

/**
 * AUTH=none: nobody is known, and everybody may read. Whether a request may also publish and name
 * itself depends on where it comes from, so that there are only two principals, made once: a stream
 * that holds one does not hold its request.
 */
export function createAnonymousAuthenticator({
  allowAnonymousPublish,
  allowAnonymousUsers,
  allowQueryToken,
}: AnonymousSettings): Authenticator {
  const local = anonymous({ mayPublish: true, mayNameItself: true });
  const remote = anonymous({
    mayPublish: allowAnonymousPublish,
    mayNameItself: allowAnonymousUsers,
  });
  const isLocalityMoot = allowAnonymousPublish && allowAnonymousUsers;
  return {
    authenticate: ({ url, isLocal }) => {
      if (!allowQueryToken) refuseQueryToken(url);
      return isLocalityMoot || isLocal() ? local : remote;
    },
    onExpired: () => undefined,
  };
}

function anonymous({
  mayPublish,
  mayNameItself,
}: {
  mayPublish: boolean;
  mayNameItself: boolean;
}): Principal {
  return {
    user: undefined,
    username: undefined,
    clientId: undefined,
    mayNameItself,
    subscribe: EVERYTHING,
    publish: mayPublish ? EVERYTHING : NOTHING,
    channels: EVERYTHING,
    status: true,
    token: undefined,
  };
}
