import { HeadgateError, quote } from "../errors.ts";

/** Most items in one list parameter: bounds what one subscription can make us index. */
const MAX_ITEMS = 100;

/**
 * A request's query, parameter by parameter. Whatever is not asked for by name, is repeated or does
 * not decode is refused. `_` is ignored: it is what cache busters send.
 */
export class Query {
  /** Values as they came, still percent-encoded. */
  readonly #values = new Map<string, string>();

  /** @throws HeadgateError `invalid-parameter`, naming the parameter. */
  constructor(url: string, known: readonly string[]) {
    const at = url.indexOf("?");
    if (at === -1) return;
    for (const pair of url
      .slice(at + 1)
      .replace(/#.*$/, "")
      .split("&")) {
      if (pair === "") continue;
      const equals = pair.indexOf("=");
      const name = decode(equals === -1 ? pair : pair.slice(0, equals), "name");
      if (name === "_") continue;
      if (!known.includes(name)) {
        throw badParameter(name, `Unknown parameter ${quote(name)}; known: ${known.join(", ")}`);
      }
      if (this.#values.has(name)) {
        throw badParameter(name, `Parameter ${quote(name)} is given twice; use a comma list`);
      }
      this.#values.set(name, equals === -1 ? "" : pair.slice(equals + 1));
    }
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : decode(value, name);
  }

  /** As it came where it does not decode: for a value that is judged later, and not by its form. */
  anyText(name: string): string | undefined {
    const value = this.#values.get(name);
    try {
      return value && decode(value, name);
    } catch {
      return value;
    }
  }

  /** A comma list, split before it is decoded, so that `%2C` is a comma in an item. */
  list(name: string): string[] | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    const items = value.split(",");
    if (items.length > MAX_ITEMS) {
      throw badParameter(
        name,
        `Parameter ${quote(name)} has ${items.length} items; at most ${MAX_ITEMS} are allowed`,
      );
    }
    return items.map((item) => {
      if (item === "") {
        throw badParameter(
          name,
          `Parameter ${quote(name)} has an empty item; leave it out instead`,
        );
      }
      return decode(item, name);
    });
  }

  flag(name: string): boolean {
    const value = this.text(name);
    if (value !== undefined && value !== "true" && value !== "false") {
      throw badParameter(name, `Parameter ${quote(name)} is ${quote(value)}; use true or false`);
    }
    return value === "true";
  }

  integer(name: string, { min, max }: { min: number; max: number }): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!/^\d{1,15}$/.test(value) || number < min || number > max) {
      throw badParameter(
        name,
        `Parameter ${quote(name)} is ${quote(value)}; use a whole number from ${min} to ${max}`,
      );
    }
    return number;
  }
}

export function badParameter(parameter: string, message: string): HeadgateError {
  return new HeadgateError("invalid-parameter", message, { parameter: parameter.slice(0, 100) });
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
