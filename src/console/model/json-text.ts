/** A piece of JSON text, and what it is. */
export interface JsonToken {
  readonly kind: "key" | "string" | "number" | "literal" | "punctuation";
  readonly text: string;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The text of a member of a JSON object, just as it stands there; undefined where it is not a member. O(n). */
export function memberText(json: string, name: string): string | undefined {
  const wanted = JSON.stringify(name);
  let depth = 0;
  let start = -1;
  for (let i = 0; i < json.length; i += 1) {
    const char = json[i];
    if (char === '"') {
      const end = endOfString(json, i);
      if (depth === 1 && start === -1 && json.slice(i, end) === wanted) {
        const colon = /\s*:\s*/y;
        colon.lastIndex = end;
        if (colon.test(json)) {
          start = colon.lastIndex;
          i = start - 1;
          continue;
        }
      }
      i = end - 1;
    } else if (char === "{" || char === "[") depth += 1;
    else if (char === "}" || char === "]") {
      depth -= 1;
      if (depth === 0 && start !== -1) return json.slice(start, i).trimEnd();
    } else if (char === "," && depth === 1 && start !== -1) return json.slice(start, i).trimEnd();
  }
  return undefined;
}

/** A list in a list in a list, a hundred thousand times, would be laid out over gigabytes of blanks. */
const MAX_INDENT = 60;

/**
 * Lays JSON out over lines. It works on the text, so that numbers keep their digits:
 * `JSON.parse` makes 9007199254740992 of 9007199254740993.
 */
export function indentJson(json: string): JsonToken[] {
  const tokens: JsonToken[] = [];
  let depth = 0;
  const newLine = (): string => `\n${"  ".repeat(Math.max(0, Math.min(depth, MAX_INDENT)))}`;
  const punctuate = (text: string): void => void tokens.push({ kind: "punctuation", text });
  const pattern = /[{}[\],:]|"|[^\s{}[\],:"]+/g;
  for (let match = pattern.exec(json); match; match = pattern.exec(json)) {
    const [text] = match;
    if (text === '"') {
      const end = endOfString(json, match.index);
      pattern.lastIndex = end;
      const isKey = /\s*:/y;
      isKey.lastIndex = end;
      tokens.push({
        kind: isKey.test(json) ? "key" : "string",
        text: json.slice(match.index, end),
      });
    } else if (text === "{" || text === "[") {
      const close = text === "{" ? /\s*\}/y : /\s*\]/y;
      close.lastIndex = pattern.lastIndex;
      if (close.test(json)) {
        pattern.lastIndex = close.lastIndex;
        punctuate(text === "{" ? "{}" : "[]");
        continue;
      }
      depth += 1;
      punctuate(text + newLine());
    } else if (text === "}" || text === "]") {
      depth -= 1;
      punctuate(newLine() + text);
    } else if (text === ",") punctuate(`,${newLine()}`);
    else if (text === ":") punctuate(": ");
    else tokens.push({ kind: /^[-\d]/.test(text) ? "number" : "literal", text });
  }
  return tokens;
}

/** The place after a string that begins at `start`; the text's end where it is not closed. */
function endOfString(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end !== -1; end = json.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (json.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0 && json.charCodeAt(end) === QUOTE) return end + 1;
  }
  return json.length;
}
