/**
 * A token as a header can carry it.
 * @throws TypeError for one that none can: runtimes would repeat it in their own message.
 */
export function checkToken(token: string): string {
  const text = token.trim();
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new TypeError("The token is empty, or has characters that no header can carry");
}

/** The header that carries a token, where there is one. @throws TypeError as `checkToken`. */
export function authorization(token: string | undefined): { Authorization?: string } {
  return token === undefined ? {} : { Authorization: `Bearer ${checkToken(token)}` };
}
