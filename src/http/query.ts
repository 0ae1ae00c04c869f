import { HeadgateError, quote } from "../errors.ts";
import {
  MAX_ITEMS,
  type Meanings,
  type Parameter,
  type ParameterName,
  PARAMETERS,
} from "./parameters.ts";

/** Not for the routes: what cache busters send, and what the authenticator reads. */
const IGNORED: ReadonlySet<string> = new Set(["_", "token"]);

/**
 * A request's query, parameter by parameter. Whatever is not one of the endpoint's parameters, is
 * repeated or does not decode is refused.
 */
export class Query {
  /** Values as they came, still percent-encoded. */
  readonly #values = new Map<string, string>();

  /** @throws HeadgateError `invalid-parameter`, naming the parameter. */
  constructor(url: string, known: readonly ParameterName[]) {
    const at = url.indexOf("?");
    if (at === -1) return;
    for (const pair of url
      .slice(at + 1)
      .replace(/#.*$/, "")
      .split("&")) {
      if (pair === "") continue;
      const equals = pair.indexOf("=");
      const name = decode(equals === -1 ? pair : pair.slice(0, equals), "name");
      if (IGNORED.has(name)) continue;
      if (!known.some((each) => each === name)) {
        throw badParameter(
          name,
          `Unknown parameter ${quote(name)}; known: ${known.join(", ") || "none"}`,
        );
      }
      if (this.#values.has(name)) {
        throw badParameter(name, `Parameter ${quote(name)} is given twice; use a comma list`);
      }
      this.#values.set(name, equals === -1 ? "" : pair.slice(equals + 1));
    }
  }

  /**
   * What a parameter means; undefined where it is not given.
   * @throws HeadgateError `invalid-parameter`, naming the parameter.
   */
  get<N extends ParameterName>(name: N): Meanings[N] | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    const parameter: Parameter<Meanings[N]> = PARAMETERS[name];
    const given = parameter.isList ? decodeList(value, name) : decodeText(value, name, parameter);
    const { success, data, error } = parameter.schema.safeParse(given);
    if (success) return data;
    const [issue] = error.issues;
    const fault =
      typeof given === "string"
        ? `is ${quote(given)}`
        : `has the item ${quote(given[Number(issue?.path[0])] ?? "")}`;
    throw badParameter(name, `Parameter ${quote(name)} ${fault}; ${issue?.message}`);
  }
}

export function badParameter(parameter: string, message: string): HeadgateError {
  return new HeadgateError("invalid-parameter", message, { parameter: parameter.slice(0, 100) });
}

function decodeText(value: string, name: string, { isLenient }: { isLenient: boolean }): string {
  try {
    return decode(value, name);
  } catch (error) {
    if (isLenient) return value;
    throw error;
  }
}

/** A comma list, split before it is decoded, so that `%2C` is a comma in an item. */
function decodeList(value: string, name: string): string[] {
  const items = value.split(",");
  if (items.length > MAX_ITEMS) {
    throw badParameter(
      name,
      `Parameter ${quote(name)} has ${items.length} items; at most ${MAX_ITEMS} are allowed`,
    );
  }
  return items.map((item) => {
    if (item !== "") return decode(item, name);
    throw badParameter(name, `Parameter ${quote(name)} has an empty item; leave it out instead`);
  });
}

/** [URL Standard §5.1] "+" is a space; percent-encoding must be valid UTF-8. Decoded once, never twice. */
function decode(text: string, name: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw badParameter(
      name,
      `Parameter ${quote(name)} is not percent-encoded UTF-8: ${quote(text)}`,
    );
  }
}
