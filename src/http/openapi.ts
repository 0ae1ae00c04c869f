import { z } from "zod";
import type { Answer, Operation } from "./operations/operation.ts";
import { type ProblemCode, type Problems, RETRIED } from "./operations/problems.ts";
import { PATH_PARAMETERS, REQUEST_HEADERS } from "./operations/request-parts.ts";
import { ALL_SCHEMAS } from "./operations/schemas.ts";
import { PARAMETERS } from "./parameters.ts";

/** A part of a JSON document. */
type Json = Readonly<Record<string, unknown>>;

/** The ways in which a token may come, where one is asked for. */
const SECURITY_SCHEMES = {
  bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
  cookie: { type: "apiKey", in: "cookie", name: "headgate_token" },
  query: {
    type: "apiKey",
    in: "query",
    name: "token",
    description: "Where the server allows it (SSE_ALLOW_QUERY_TOKEN).",
  },
};

/** `{}`: without a token, which is enough unless AUTH=jwt. */
const TOKEN = [{}, ...Object.keys(SECURITY_SCHEMES).map((name) => ({ [name]: [] }))];

/**
 * Describes operations [OpenAPI 3.2.0]. Keys are `METHOD /path`, with path parameters in braces; HEAD
 * is added where there is GET.
 */
export function openApiDocument(
  operations: Readonly<Record<string, Operation>>,
  { version }: { version: string },
): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const [key, operation] of Object.entries(operations)) {
    const [method = "", path = ""] = key.split(" ");
    const item = (paths[path] ??= {});
    item[method.toLowerCase()] = describeOperation(path, operation);
    if (method === "GET") item["head"] = describeHead(path, operation);
  }
  return {
    openapi: "3.2.0",
    info: {
      title: "Headgate",
      summary: "Kafka topics, live, as Server-Sent Events",
      version,
      license: { name: "Apache License 2.0", identifier: "Apache-2.0" },
    },
    tags: [{ name: "Reading" }, { name: "Publishing" }, { name: "Watching" }],
    paths,
    components: {
      schemas: describeSchemas(),
      parameters: Object.fromEntries(describeParameters()),
      headers: {
        "Retry-After": {
          description: "Seconds after which to come back",
          schema: { type: "integer" },
        },
      },
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

function describeOperation(path: string, operation: Operation): Json {
  const { id, tag, summary, description, permission, body, answers } = operation;
  const sentences = [
    description,
    permission && `With AUTH=jwt, the token must allow \`${permission}\`.`,
  ].filter((sentence) => sentence !== undefined);
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(sentences.length > 0 && { description: sentences.join(" ") }),
    security: permission ? TOKEN : [],
    parameters: parametersOf(path, operation),
    ...(body && {
      requestBody: {
        required: true,
        description: body.description,
        content: describeContent(body.content),
      },
    }),
    responses: {
      ...mapValues(answers, ({ description: answer, content }) => ({
        description: answer,
        content: describeContent(content),
      })),
      ...mapValues(problemsOf(operation), describeProblem),
    },
  };
}

/** The same, and no body in any answer [RFC 9110 §9.3.2]. */
function describeHead(path: string, operation: Operation): Json {
  const { tag, summary, permission, answers } = operation;
  return {
    tags: [tag],
    summary: `${summary}: the headers alone`,
    security: permission ? TOKEN : [],
    parameters: parametersOf(path, operation),
    responses: {
      ...mapValues(answers, ({ description }) => ({ description })),
      ...mapValues(problemsOf(operation), (codes) => ({ description: listTypes(codes) })),
    },
  };
}

/**
 * What an operation may be refused with, and what anything may be: the header Host is looked at
 * everywhere, and the keys that check tokens may be out of reach.
 */
export function problemsOf({
  permission,
  problems,
}: Pick<Operation, "permission" | "problems">): Problems {
  const common: Problems = {
    ...(permission && { 401: ["unauthorized"], 503: ["not-ready"] }),
    403: ["forbidden"],
    500: ["internal"],
  };
  const all = [common, problems].flatMap((each) => Object.entries(each));
  const byStatus: Record<string, ProblemCode[]> = {};
  for (const [status, codes] of all) byStatus[status] = [...(byStatus[status] ?? []), ...codes];
  return byStatus;
}

function describeProblem(codes: readonly ProblemCode[], status: string): Json {
  const types = codes.map((code) => `/errors/${code}`);
  return {
    description: listTypes(codes),
    ...(RETRIED.has(Number(status)) && {
      headers: { "Retry-After": { $ref: "#/components/headers/Retry-After" } },
    }),
    content: {
      "application/problem+json": {
        schema: {
          $ref: "#/components/schemas/Problem",
          properties: { type: { enum: types }, status: { const: Number(status) } },
        },
      },
    },
  };
}

function listTypes(codes: readonly ProblemCode[]): string {
  return codes.map((code) => `\`/errors/${code}\``).join(", ");
}

function describeContent(content: Answer["content"]): Json {
  return mapValues(content, ({ schema, itemSchema, examples }) => ({
    ...(schema && { schema: reference(schema) }),
    ...(itemSchema && { itemSchema: reference(itemSchema) }),
    ...(examples && { examples }),
  }));
}

function reference(schema: string): Json {
  return { $ref: `#/components/schemas/${schema}` };
}

function parametersOf(path: string, { query, headers }: Operation): Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `path.${name}`);
  const keys = [
    ...inPath,
    ...query.map((name) => `query.${name}`),
    ...headers.map((name) => `header.${name}`),
  ];
  return keys.map((key) => ({ $ref: `#/components/parameters/${key}` }));
}

function* describeParameters(): Generator<[key: string, parameter: Json]> {
  for (const [name, parameter] of Object.entries(PARAMETERS)) {
    const { description, example, schema, isList, shows } = parameter;
    yield [
      `query.${name}`,
      {
        name,
        in: "query",
        description,
        schema: jsonSchema(schema, shows === "text" ? "input" : "output"),
        // [OpenAPI 3.2 §4.12] One comma list, each item percent-encoded for itself.
        ...(isList && { style: "form", explode: false }),
        example: isList ? example.split(",") : shows === "text" ? example : schema.parse(example),
      },
    ];
  }
  for (const [name, { schema, ...rest }] of Object.entries(PATH_PARAMETERS)) {
    yield [
      `path.${name}`,
      { name, in: "path", required: true, schema: jsonSchema(schema, "output"), ...rest },
    ];
  }
  for (const [name, { schema, ...rest }] of Object.entries(REQUEST_HEADERS)) {
    yield [`header.${name}`, { name, in: "header", schema: jsonSchema(schema, "output"), ...rest }];
  }
}

/** [OpenAPI 3.2 §4.24] A Schema Object is JSON Schema 2020-12, which is what zod writes. */
function describeSchemas(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of ALL_SCHEMAS) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    uri: (id) => `#/components/schemas/${id}`,
    override: withoutNoise,
  });
  return mapValues(schemas, withoutIdentity);
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): Json {
  return withoutIdentity(z.toJSONSchema(schema, { io, override: withoutNoise }));
}

/** Within a document, a schema's place is its name, and its dialect the document's. */
function withoutIdentity(schema: Json): Json {
  const members = Object.entries(schema);
  return Object.fromEntries(members.filter(([key]) => key !== "$schema" && key !== "$id"));
}

/** zod also writes formats as long patterns, and the bounds that every integer has in JavaScript. */
function withoutNoise({ jsonSchema: schema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (schema.format !== undefined) delete schema.pattern;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
}

function mapValues<T>(
  values: Readonly<Record<string, T>>,
  toValue: (value: T, key: string) => unknown,
): Json {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, toValue(value, key)]),
  );
}
