import { HeadgateError } from "../errors.ts";
import { badToken } from "./bad-token.ts";
import type { Credentials, Token } from "./principal.ts";

/**
 * Longest token, in characters: bounds what a stranger can make us decode, hash and check a
 * signature of. Identity providers stay below 4 KiB, because that is what a cookie holds.
 */
const MAX_TOKEN_LENGTH = 8 * 1024;

const COOKIE = "headgate_token";
const PARAMETER = "token";

/** A token as it came: it has a JWT's form, and nothing of it has been verified. */
export interface PresentedToken {
  readonly text: string;
  readonly from: Token["from"];
}

/**
 * Finds a request's token: in the header `Authorization`, else in the query where that is allowed,
 * else in the cookie. Which of two tokens counts is never left to their order: two are refused.
 * @throws HeadgateError `unauthorized`.
 */
export function readToken({ headers, url }: Credentials, allowQueryToken: boolean): PresentedToken {
  if (!allowQueryToken) refuseQueryToken(url);
  const inQuery = single(tokensInQuery(url), `the parameter ${PARAMETER} is given twice`);
  const authorization = headers.get("authorization");
  if (authorization !== null) return { text: checkForm(bearer(authorization)), from: "header" };
  if (inQuery !== undefined) return { text: checkForm(decode(inQuery)), from: "query" };
  const inCookie = single(
    tokensInCookie(headers.get("cookie") ?? ""),
    `the cookie ${COOKIE} is given twice`,
  );
  if (inCookie !== undefined) return { text: checkForm(inCookie), from: "cookie" };
  const ways = `the header "Authorization: Bearer" or the cookie ${COOKIE}`;
  const query = allowQueryToken ? `, or in the parameter ${PARAMETER}` : "";
  throw new HeadgateError("unauthorized", `A token is needed; send it in ${ways}${query}`);
}

/**
 * Refuses a token in a query where none is allowed: by then it may lie in the log of a proxy, and
 * silence would hide that from whoever sent it.
 * @throws HeadgateError `unauthorized`.
 */
export function refuseQueryToken(url: string): void {
  if (tokensInQuery(url).length === 0) return;
  const instead = "send it in the header Authorization, or see SSE_ALLOW_QUERY_TOKEN";
  throw badToken(`tokens in the query are not allowed here; ${instead}`);
}

/** The values of `token`, still percent-encoded; its name may be percent-encoded as well. */
function tokensInQuery(url: string): string[] {
  const at = url.indexOf("?");
  if (at === -1) return [];
  const query = url.slice(at + 1).replace(/#.*$/, "");
  return query.split("&").flatMap((pair) => {
    const equals = pair.indexOf("=");
    const name = equals === -1 ? pair : pair.slice(0, equals);
    if (name !== PARAMETER && !(name.includes("%") && isEncodedParameter(name))) return [];
    return [equals === -1 ? "" : pair.slice(equals + 1)];
  });
}

function isEncodedParameter(name: string): boolean {
  try {
    return decodeURIComponent(name) === PARAMETER;
  } catch {
    return false;
  }
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw badToken("it is not percent-encoded UTF-8");
  }
}

/** [RFC 6265 §4.2.1] A cookie comes twice where it was set for two paths or domains: by whom is not known. */
function tokensInCookie(header: string): string[] {
  const start = `${COOKIE}=`;
  return header
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(start))
    .map((pair) => pair.slice(start.length));
}

/** [RFC 6750 §2.1]; [RFC 9110 §11.1] the scheme is in any case. A header sent twice comes joined by a comma. */
function bearer(header: string): string {
  const [, token] = /^bearer +([^\s,]+)$/i.exec(header) ?? [];
  if (token === undefined) {
    throw badToken('the header Authorization must be there once, as "Bearer" and the token');
  }
  return token;
}

function single(values: readonly string[], refusal: string): string | undefined {
  if (values.length > 1) throw badToken(`${refusal}; send one token`);
  return values[0];
}

function checkForm(text: string): string {
  if (text.length > MAX_TOKEN_LENGTH) {
    throw badToken(`it is longer than ${MAX_TOKEN_LENGTH} characters`);
  }
  // [RFC 7516 §3.1]
  if (text.split(".").length === 5) throw badToken("it is encrypted (JWE); use a signed JWT");
  const [, signature] = /^[\w-]+\.[\w-]+\.([\w-]+)$/.exec(text) ?? [];
  if (signature === undefined || !isCanonical(signature)) {
    throw badToken("it does not have the form of a signed JWT");
  }
  return text;
}

/**
 * Whether base64url text is the only one of its bytes: the last character may hold bits that are
 * not used [RFC 4648 §3.5]. Elsewhere in a token the signature covers the text itself.
 */
function isCanonical(base64url: string): boolean {
  return Buffer.from(base64url, "base64url").toString("base64url") === base64url;
}
