/** Where pages are; there is none outside of browsers. */
const { location } = globalThis as { readonly location?: { readonly href: string } };

/**
 * The address of a stream as options of `connect`, its query as it stands. In a page it may be relative.
 * @throws TypeError for what is no address.
 */
export function splitAddress(address: string): { readonly url: string; readonly path: string } {
  const url = new URL(address, location?.href);
  const path = `${url.pathname}${url.search}`;
  url.pathname = "";
  url.search = "";
  // What it must not have, such as a user, is refused with the rest.
  return { url: url.href, path };
}
