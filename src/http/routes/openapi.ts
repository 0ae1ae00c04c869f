import packageJson from "../../../package.json" with { type: "json" };
import type { Route } from "../context.ts";
import { openApiDocument } from "../openapi.ts";
import { OPERATIONS } from "../operations/operations.ts";

/** Made when it is first asked for: it takes some 40 ms, once. */
let documentText: string | undefined;

/** GET /openapi.json: what is served, as OpenAPI 3.2. */
export const openApiRoute: Route = {
  path: "/openapi.json",
  access: "status",
  summary: "GET describes all of this (OpenAPI 3.2)",
  methods: {
    GET: () => {
      const { version } = packageJson;
      documentText ??= `${JSON.stringify(openApiDocument(OPERATIONS, { version }))}\n`;
      return new Response(documentText, { headers: { "Content-Type": "application/json" } });
    },
  },
};
