import type { ParameterName } from "../parameters.ts";
import type { HeaderName } from "./request-parts.ts";
import type { Problems } from "./problems.ts";
import type { SchemaName } from "./schemas.ts";

/** What an endpoint takes and answers: what `/openapi.json` says of it, as data. */
export interface Operation {
  /** OpenAPI's `operationId`: a name for generated clients, which stays. */
  readonly id: string;
  readonly tag: "Reading" | "Publishing" | "Watching";
  readonly summary: string;
  readonly description?: string;
  /** What a token must allow where tokens are asked for (AUTH=jwt); undefined: open to everybody. */
  readonly permission: "subscribe" | "publish" | "status" | undefined;
  /** Query parameters. */
  readonly query: readonly ParameterName[];
  /** Request headers that mean something here, beside those of every request. */
  readonly headers: readonly HeaderName[];
  readonly body?: {
    readonly description: string;
    readonly content: Readonly<Record<string, Content>>;
  };
  /** By status: what is no problem. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Beside those that every endpoint has (`openapi.ts`). */
  readonly problems: Problems;
}

export interface Answer {
  readonly description: string;
  readonly content: Readonly<Record<string, Content>>;
}

/** What a media type holds [OpenAPI 3.2 §4.14]: a whole of one schema, or items of one, or bytes. */
export interface Content {
  readonly schema?: SchemaName;
  readonly itemSchema?: SchemaName;
  /** [OpenAPI 3.2 §4.19] */
  readonly examples?: Readonly<
    Record<string, { readonly dataValue: unknown } | { readonly serializedValue: string }>
  >;
}
