import { HeadgateError } from "../errors.ts";

/** The answer to a token that is not accepted. The reason is in words of ours: it holds nothing of the token. */
export function badToken(reason: string): HeadgateError {
  return new HeadgateError("unauthorized", `The token is not accepted: ${reason}`);
}
