/** Whose pages may read answers: everybody's, or these origins' (`scheme://host[:port]`, lower case). */
export type CorsSettings = "any" | readonly string[];

/** What browsers are told about the pages of other origins [Fetch standard §3.3, CORS protocol]. */
export interface Cors {
  /**
   * Gives an answer its CORS headers, whatever it is: a stream, an error, a preflight's. What it has
   * is kept, a `Vary` too; doing it twice changes nothing.
   */
  apply(request: Request, response: Response): Response;
  /** Answers OPTIONS, with `apply` done. `allow`: the methods, as the header `Allow` names them. */
  preflight(request: Request, allow: readonly string[]): Response;
  /**
   * Whether a request that a browser makes with its cookies comes from a page that may do so: one of
   * a listed origin, or of `ownHost` (the header `Host`). `*` counts for nobody here: it stands for
   * every page that the user has open.
   */
  isOriginAllowed(request: Request, ownHost: string | null): boolean;
}

/**
 * What pages may send. A fixed list: an echo of what was asked would cost a stranger's 10 KB each
 * time, and allow headers that proxies on the way believe. `*` would not stand for Authorization.
 */
const REQUEST_HEADERS = [
  "Authorization",
  "Content-Type",
  "Last-Event-ID",
  "Idempotency-Key",
  "Cache-Control",
  "traceparent",
  "tracestate",
  "ce-id",
  "ce-source",
  "ce-specversion",
  "ce-type",
  "ce-subject",
  "ce-time",
  "ce-dataschema",
].join(", ");

/** Two hours, the longest that Chromium keeps a preflight's answer. */
const PREFLIGHT_MAX_AGE_S = "7200";

/** What scripts may read beyond Content-Type and the like: when to come back after a 429 or a 503. */
const EXPOSED_HEADERS = "Retry-After, X-Request-Id";

/** An empty list: no CORS. */
export function createCors(settings: CorsSettings): Cors {
  // Origins are compared as texts, never parsed or matched by their ends: `null`, another port or
  // `https://good.com.evil.com` are simply not in the list. Opaque origins share `null`.
  const origins = new Set(settings === "any" ? [] : settings).difference(new Set(["null"]));

  function apply(request: Request, response: Response): Response {
    const { headers } = response;
    if (settings === "any") {
      // Never with credentials: any page could read what its visitor may read.
      headers.set("Access-Control-Allow-Origin", "*");
      headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
    } else if (origins.size > 0) {
      const origin = listedOrigin(request);
      if (origin !== undefined) {
        headers.set("Access-Control-Allow-Origin", origin);
        headers.set("Access-Control-Allow-Credentials", "true");
        headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
      }
      // Without an Origin too: else a cache hands the answer to one origin to another [Fetch §3.3.6].
      varyByOrigin(headers);
    }
    return response;
  }

  function preflight(request: Request, allow: readonly string[]): Response {
    const methods = allow.join(", ");
    const response = new Response(null, { status: 204, headers: { Allow: methods } });
    const isPreflight = request.headers.has("access-control-request-method");
    if (isPreflight && (settings === "any" || listedOrigin(request) !== undefined)) {
      response.headers.set("Access-Control-Allow-Methods", methods);
      response.headers.set("Access-Control-Allow-Headers", REQUEST_HEADERS);
      response.headers.set("Access-Control-Max-Age", PREFLIGHT_MAX_AGE_S);
    }
    return apply(request, response);
  }

  function isOriginAllowed(request: Request, ownHost: string | null): boolean {
    return listedOrigin(request) !== undefined || isOwnOrigin(request, ownHost);
  }

  function listedOrigin({ headers }: Request): string | undefined {
    const origin = headers.get("origin");
    return origin !== null && origins.has(origin) ? origin : undefined;
  }

  return { apply, preflight, isOriginAllowed };
}

/**
 * Whether a page is the server's own. Its port counts, although cookies do not know ports. Its
 * scheme cannot be compared where a proxy ends TLS; where this server does, a page that came without
 * TLS may be anybody's on the way.
 */
function isOwnOrigin({ headers, url }: Request, ownHost: string | null): boolean {
  const [, scheme, host] = /^(https?):\/\/(.+)$/.exec(headers.get("origin") ?? "") ?? [];
  if (host === undefined || ownHost === null) return false;
  if (scheme === "http" && url.startsWith("https:")) return false;
  return host === ownHost.toLowerCase();
}

function varyByOrigin(headers: Headers): void {
  const vary = headers.get("vary");
  if (vary === null) headers.set("Vary", "Origin");
  else if (!/(?:^|,)\s*(?:origin|\*)\s*(?:,|$)/i.test(vary)) headers.append("Vary", "Origin");
}
