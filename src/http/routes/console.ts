import { allows } from "../../auth/principal.ts";
import { type Asset, type ConsoleAssets, consoleAssets } from "../../console/assets.ts";
import { HeadgateError, quote } from "../../errors.ts";
import { acceptsGzip } from "../accept.ts";
import { json, type Route } from "../context.ts";

/** What the console may do to whoever looks at it: load its own files, and ask its own server. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const FOR_EVER = "public, max-age=31536000, immutable";

/** The live console's page. It holds no data: what it shows it asks for, as who looks at it. */
export async function consolePage(request: Request): Promise<Response> {
  const { page } = await built();
  return respond(request, page, {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    // The same address answers programs with JSON.
    Vary: "Accept, Accept-Encoding",
  });
}

/** What the caller may do, so that the console offers nothing else. */
const sessionRoute: Route = {
  path: "/console/session",
  access: "caller",
  summary: "GET says what the caller may do",
  methods: {
    GET: ({ topics, publishing }, { principal }) =>
      json({
        topics: topics.filter((topic) => allows(principal.subscribe, topic)),
        publish: publishing.topics.filter((topic) => allows(principal.publish, topic)),
        status: principal.status,
        user: principal.user ?? null,
        // Where tokens are asked for, nobody comes this far without one.
        authentication: principal.token ? "jwt" : "none",
      }),
  },
};

const fileRoute: Route = {
  path: "/console/:file",
  access: "open",
  summary: "GET has a file of the live console",
  methods: {
    GET: async (_, { request, path: { file = "" } }) => {
      const asset = (await built()).files.get(file);
      if (asset) return respond(request, asset, { "Cache-Control": FOR_EVER });
      throw new HeadgateError("endpoint-not-found", `The console has no file ${quote(file)}`);
    },
  },
};

/** What the page loads and asks; not for others, and so not listed at `GET /`. */
export const CONSOLE_ROUTES: readonly Route[] = [sessionRoute, fileRoute];

function respond(
  request: Request,
  { type, bytes, gzip }: Asset,
  headers: Record<string, string>,
): Response {
  const isGzip = acceptsGzip(request.headers.get("accept-encoding"));
  return new Response(isGzip ? gzip : bytes, {
    headers: {
      "Content-Type": type,
      ...(isGzip && { "Content-Encoding": "gzip" }),
      Vary: "Accept-Encoding",
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      ...headers,
    },
  });
}

async function built(): Promise<ConsoleAssets> {
  try {
    return await consoleAssets();
  } catch (cause) {
    throw new HeadgateError(
      "not-ready",
      "The console could not be built; the server's log says why",
      {
        cause,
      },
    );
  }
}
