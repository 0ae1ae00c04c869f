import type { Frame } from "./frame-source.ts";
import { parseJson } from "./json.ts";
import type { SchemaResult } from "./standard-schema.ts";
import type { Schemas, StreamEvent } from "./stream.ts";

/** The event of a frame, checked by its type's schema where it has one. */
export async function receive(
  { type, id, data: text }: Frame,
  schemas: Schemas | undefined,
): Promise<SchemaResult<StreamEvent>> {
  const data = parseData(type, text);
  // An own one only: a type can be named as what every object has.
  const schema = schemas && Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  try {
    const result = (await schema?.["~standard"].validate(data)) ?? { value: data };
    return result.issues ? result : { value: { type, data: result.value, text, id } };
  } catch (error) {
    // What a schema was made of can throw: JSON.parse, for example.
    return { issues: [{ message: String(error) }] };
  }
}

function parseData(type: string, text: string): unknown {
  // Base64 can look like a number.
  const value = type === "binary" ? undefined : parseJson(text);
  return value === undefined ? text : value;
}
