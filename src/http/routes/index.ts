import { json, type Route } from "../context.ts";

/** `GET /`: what is served. */
export function createIndexRoute(routes: () => readonly Route[]): Route {
  return {
    path: "/",
    access: "status",
    summary: "GET lists the endpoints",
    methods: {
      GET: () =>
        json({
          name: "headgate",
          endpoints: routes().map(({ path, methods, summary }) => ({
            path: path.replaceAll(/:(\w+)/g, "{$1}"),
            methods: Object.keys(methods),
            summary,
          })),
        }),
    },
  };
}
