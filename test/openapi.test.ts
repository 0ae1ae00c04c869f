import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { HeadgateError } from "../src/errors.ts";
import { RequestLog } from "../src/http/request-log.ts";
import { openApiDocument, problemsOf } from "../src/http/openapi.ts";
import { OPERATIONS } from "../src/http/operations/operations.ts";
import { PARAMETERS } from "../src/http/parameters.ts";
import { SCHEMAS } from "../src/http/operations/schemas.ts";
import { problemResponse } from "../src/http/problem.ts";
import { createLogger } from "../src/logger.ts";
import { createMetrics } from "../src/metrics.ts";
import { type LocalServer, startLocalServer } from "./support/server.ts";
import { hmacToken, SECRET } from "./support/tokens.ts";

interface Parameter {
  readonly name: string;
  readonly in: "query" | "path" | "header";
  readonly example: unknown;
}

interface Content {
  readonly schema?: { readonly $ref: string };
  readonly examples?: Readonly<
    Record<string, { readonly dataValue?: unknown; readonly serializedValue?: string }>
  >;
}

interface Described {
  readonly operationId?: string;
  readonly parameters: readonly { readonly $ref: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly security: readonly object[];
}

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly parameters: Readonly<Record<string, Parameter>> };
}

/** As it is read by others: from its text. */
const TEXT = JSON.stringify(openApiDocument(OPERATIONS, { version: "1.2.3" }));
const DOCUMENT = JSON.parse(TEXT) as OpenApi;

let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer({ KAFKA_TOPICS: "orders,payments" });
  // What the example of a look-up finds.
  await send("POST /events");
});

afterAll(() => server[Symbol.asyncDispose]());

describe("the document", () => {
  test("is valid OpenAPI 3.2", async () => {
    const validator = new Validator();
    const result = await validator.validate(JSON.parse(TEXT) as Record<string, unknown>);
    expect(result).toEqual({ valid: true });
    expect(validator.version).toBe("3.2");
    expect(DOCUMENT.openapi).toBe("3.2.0");
  });

  test("refers to nothing that it does not have", () => {
    const references = [...TEXT.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = ""]) => path);
    expect(references.length).toBeGreaterThan(100);
    const missing = references.filter((path) => {
      let place: unknown = DOCUMENT;
      for (const part of path.split("/")) place = (place as Record<string, unknown>)[part];
      return place === undefined;
    });
    expect(missing).toEqual([]);
  });

  test("describes each item of an event stream, and each line of JSON", () => {
    for (const path of ["/events", "/stream"]) {
      expect(DOCUMENT.paths[path]?.["get"]).toMatchObject({
        responses: {
          200: {
            content: {
              "text/event-stream": { itemSchema: { $ref: "#/components/schemas/StreamItem" } },
              "application/x-ndjson": { itemSchema: { $ref: "#/components/schemas/StreamLine" } },
            },
          },
        },
      });
    }
  });

  test("names every operation once, and has HEAD where there is GET", () => {
    const items = Object.values(DOCUMENT.paths);
    const ids = items.flatMap(Object.values).map(({ operationId }: Described) => operationId);
    const named = ids.filter((id) => id !== undefined);
    expect(named).toHaveLength(Object.keys(OPERATIONS).length);
    expect(new Set(named).size).toBe(named.length);
    expect(items.filter(({ get, head }) => (get === undefined) !== (head === undefined))).toEqual(
      [],
    );
  });

  test("asks for a token everywhere but where the process is watched", () => {
    const open = Object.keys(OPERATIONS).filter((key) => describedAs(key).security.length === 0);
    expect(open).toEqual(["GET /health", "GET /livez", "GET /readyz"]);
  });

  test("gives every problem the status that it is answered with", () => {
    const logger = { log: new RequestLog(createLogger("silent")), metrics: createMetrics() };
    for (const operation of Object.values(OPERATIONS)) {
      for (const [status, codes] of Object.entries(problemsOf(operation))) {
        for (const code of codes) {
          const error = code === "internal" ? new Error(code) : new HeadgateError(code, code);
          const response = problemResponse(error, logger, "r");
          expect([code, String(response.status)]).toEqual([code, status]);
        }
      }
    }
  });

  test("shows only examples that fit their schemas", () => {
    const contents = Object.keys(OPERATIONS).flatMap((key) =>
      Object.values(describedAs(key).requestBody?.content ?? {}),
    );
    const checked = contents.flatMap(({ schema, examples = {} }) => {
      const name = schema?.$ref.split("/").at(-1);
      if (name === undefined) return [];
      // It is one of the names, as the document refers to nothing that it does not have.
      const named = SCHEMAS[name as keyof typeof SCHEMAS];
      return Object.values(examples).map(({ dataValue }) => named.parse(dataValue));
    });
    expect(checked.length).toBeGreaterThan(4);
  });
});

describe("the server", () => {
  test("has the operations of the document, and the document has the server's", async () => {
    const index = SCHEMAS.Index.parse(await (await fetch(server.url)).json());
    const served = index.endpoints.flatMap(({ path, methods }) =>
      methods.map((method) => `${method} ${path}`),
    );
    expect(served.toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
  });

  test("gives the document, with the version of the package", async () => {
    const response = await fetch(`${server.url}/openapi.json`);
    const { version } = (await import("../package.json")).default;
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.text()).toBe(
      `${JSON.stringify(openApiDocument(OPERATIONS, { version }))}\n`,
    );
  });
});

describe("with AUTH=jwt", () => {
  const claims = { subscribe: ["*"], publish: ["*"], status: true };
  const tokenOf = (allowed: object): string => hmacToken({ headgate: allowed });
  const bearer = (allowed: object): Sent["headers"] => ({
    Authorization: `Bearer ${tokenOf(allowed)}`,
  });
  let locked: LocalServer;

  beforeAll(async () => {
    locked = await startLocalServer({
      KAFKA_TOPICS: "orders,payments",
      AUTH: "jwt",
      JWT_SECRET: SECRET,
      SSE_ALLOW_QUERY_TOKEN: "true",
    });
    await send("POST /events", { url: locked.url, headers: bearer(claims) });
  });

  afterAll(() => locked[Symbol.asyncDispose]());

  test.each(Object.entries(OPERATIONS))(
    "%s needs the permission that the document says, and no other",
    async (key, { permission }) => {
      const statusWith = async (headers: Sent["headers"]): Promise<number> =>
        (await send(key, { url: locked.url, headers })).status;
      expect(await statusWith({})).toBe(permission ? 401 : 200);
      if (!permission) return;
      const { [permission]: needed, ...others } = claims;
      expect(await statusWith(bearer(others))).toBe(403);
      expect(await statusWith(bearer({ [permission]: needed }))).toBe(200);
    },
  );

  test.each(Object.keys(OPERATIONS))("%s takes a token in each of the ways", async (key) => {
    const { url } = locked;
    const token = tokenOf(claims);
    const inQuery = await send(key, { url, query: `_=1&token=${token}` });
    expect(inQuery.status).toBe(200);
    // A page of the server's own: a cookie alone does not say who posts.
    const headers = { Cookie: `headgate_token=${token}`, Origin: url };
    expect((await send(key, { url, headers })).status).toBe(200);
  });
});

describe.each(Object.keys(OPERATIONS))("%s", (key) => {
  const { query = [], body } = OPERATIONS[key] ?? {};
  const others = Object.keys(PARAMETERS).filter((name) => !query.some((own) => own === name));
  const parameters = parametersOf(key);

  for (const { name, example } of parameters.filter((one) => one.in === "query")) {
    test(`accepts its parameter ${name} with the example`, async () => {
      // Which of the recent events: not without them.
      const needed = name === "per" && query.includes("recent") ? "&recent=5" : "";
      const { status } = await send(key, { query: `${name}=${encode(example)}${needed}` });
      expect(status).toBe(200);
    });
  }

  if (query.length > 0) {
    test("refuses every other parameter, and names it", async () => {
      for (const name of [...others, "nothing", "Topics", "topics[]"]) {
        const response = await send(key, { query: `${encodeURIComponent(name)}=1`, isHead: false });
        if (response.ok) await response.body?.cancel();
        expect([name, response.status]).toEqual([name, 400]);
        expect(SCHEMAS.Problem.parse(await response.json())).toMatchObject({
          type: "/errors/invalid-parameter",
          parameter: name,
        });
      }
    });
  }

  test("ignores a cache buster", async () => {
    const { status } = await send(key, { query: "_=1&_=2" });
    expect(status).toBe(200);
  });

  const headers = parameters.filter((one) => one.in === "header" && !one.name.startsWith("ce-"));
  for (const { name, example } of headers) {
    test(`accepts its header ${name} with the example`, async () => {
      const { status } = await send(key, { headers: { [name]: String(example) } });
      expect(status).toBe(200);
    });
  }

  for (const [type, { examples = {} }] of Object.entries(body?.content ?? {})) {
    for (const name of Object.keys(examples)) {
      test(`accepts ${type} as in the example "${name}"`, async () => {
        const response = await send(key, { content: type, example: name });
        expect(response.status).toBe(200);
        const { published } = SCHEMAS.Published.parse(await response.json());
        expect(published).toBeGreaterThan(0);
      });
    }
  }
});

interface Sent {
  readonly url?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** HEAD in place of GET: the answer may be endless. */
  readonly isHead?: boolean;
  /** The media type of the body, and which of its examples it is. */
  readonly content?: string;
  readonly example?: string;
}

/** An operation as its examples call it. */
function send(
  key: string,
  {
    url = server.url,
    query,
    headers = {},
    isHead = true,
    content = "application/json",
    example,
  }: Sent = {},
): Promise<Response> {
  const [method = "", template = ""] = key.split(" ");
  const parameters = parametersOf(key);
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    return encode(parameters.find((one) => one.in === "path" && one.name === name)?.example);
  });
  const target = `${url}${path}${query === undefined ? "" : `?${query}`}`;
  if (method === "GET") return fetch(target, { method: isHead ? "HEAD" : "GET", headers });
  const { examples = {} } = describedAs(key).requestBody?.content[content] ?? {};
  const body = examples[example ?? Object.keys(examples)[0] ?? ""];
  const isBinary = content === "*/*";
  const attributes = parameters.filter((one) => one.name.startsWith("ce-"));
  return fetch(target, {
    method,
    headers: {
      "Content-Type": isBinary ? "text/plain" : content,
      ...(isBinary && Object.fromEntries(attributes.map((one) => [one.name, String(one.example)]))),
      ...headers,
    },
    body: body?.serializedValue ?? JSON.stringify(body?.dataValue),
  });
}

function describedAs(key: string): Described {
  const [method = "", path = ""] = key.split(" ");
  const described = DOCUMENT.paths[path]?.[method.toLowerCase()];
  if (!described) throw new Error(`${key} is not in the document`);
  return described;
}

function parametersOf(key: string): Parameter[] {
  return describedAs(key).parameters.map(({ $ref }) => {
    const parameter = DOCUMENT.components.parameters[$ref.split("/").at(-1) ?? ""];
    if (!parameter) throw new Error(`${$ref} is not in the document`);
    return parameter;
  });
}

/** [OpenAPI 3.2 §4.12] A list in form style without explode has its commas as they are. */
function encode(example: unknown): string {
  const items = Array.isArray(example) ? example : [example];
  return items.map((item) => encodeURIComponent(String(item))).join(",");
}
