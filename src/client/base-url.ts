/** Where pages are; there is none outside of browsers. */
const { location } = globalThis as { readonly location?: { readonly href: string } };

/**
 * The address of a server without a slash at its end; in a page it may be relative to the page's own.
 * @throws TypeError for what is none. It is not repeated: a password may be in it.
 */
export function parseBaseUrl(url: string): string {
  const { href = "", origin = "", pathname = "" } = parseUrl(url) ?? {};
  // Nothing but these two: no user, no query, no fragment.
  if (href === origin + pathname && href.startsWith("http")) {
    return href.replace(/\/+$/, "");
  }
  throw new TypeError(
    "url must be an http or https address without user, query and fragment; a token goes into token",
  );
}

function parseUrl(url: string): Partial<URL> | undefined {
  try {
    return new URL(url, location?.href);
  } catch {
    return undefined;
  }
}
