import { preferredType } from "../accept.ts";
import { type HttpContext, json, type Route } from "../context.ts";
import { consolePage } from "./console.ts";

/** `GET /`: the live console for browsers, what is served for all others. */
export function createRootRoute(routes: () => readonly Route[]): Route {
  return {
    path: "/",
    access: (request, context) => (wantsConsole(request, context) ? "open" : "status"),
    summary: "GET lists the endpoints; browsers get the live console",
    methods: {
      GET: (context, { request }) => {
        if (wantsConsole(request, context)) return consolePage(request);
        const index = json({
          name: "headgate",
          endpoints: routes().map(({ path, methods, summary }) => ({
            path: path.replaceAll(/:(\w+)/g, "{$1}"),
            methods: Object.keys(methods),
            summary,
          })),
        });
        if (context.hasConsole) index.headers.set("Vary", "Accept");
        return index;
      },
    },
  };
}

/** Browsers name text/html, and before JSON; curl and the like accept anything, and get JSON. */
function wantsConsole({ headers }: Request, { hasConsole }: HttpContext): boolean {
  const types = ["text/html", "application/json"] as const;
  return hasConsole && preferredType(headers.get("accept"), types) === "text/html";
}
