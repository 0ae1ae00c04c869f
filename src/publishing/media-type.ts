import { MIMEType } from "node:util";

/** What a `Content-Type` says, its names in lower case. */
export interface MediaType {
  /** Without parameters: `application/json`. */
  readonly essence: string;
  readonly charset: string | undefined;
}

/** Longest media type that is taken for one: a stranger's could hold a million parameters. */
const MAX_LENGTH = 1024;

/** Reads a media type [WHATWG MIME Sniffing §4.4]; undefined where it is none. */
export function parseMediaType(text: string): MediaType | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  try {
    const type = new MIMEType(text);
    return {
      essence: type.essence,
      charset: type.params.get("charset")?.toLowerCase(),
    };
  } catch {
    return undefined;
  }
}

/** A subtype `json`, or one that ends with `+json` [CloudEvents JSON format 1.0.2 §3.1.1] */
export function isJsonType({ essence }: MediaType): boolean {
  return essence.endsWith("/json") || essence.endsWith("+json");
}

/** Whether text of this type is written as UTF-8, as far as it says. */
export function isUtf8Type({ charset }: MediaType): boolean {
  return charset === undefined || charset === "utf-8" || charset === "utf8";
}
