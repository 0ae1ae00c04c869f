import { parseArgs } from "node:util";

/** A number on the command line: its default, and the range it must be in. */
export interface NumberOption {
  readonly absent: number;
  readonly least: number;
  readonly most: number;
}

/**
 * The numbers of this process's command line: `--pace-ms 5` is `paceMs`. Throws on what is not named here,
 * and on what is out of its range.
 */
export function readNumbers<Name extends string>(
  numbers: Record<Name, NumberOption>,
): Record<Name, number> {
  return readOptions(numbers, []).numbers;
}

/** As `readNumbers`, with options beside them whose texts are taken as they are. */
export function readOptions<Name extends string, Text extends string>(
  numbers: Record<Name, NumberOption>,
  texts: readonly Text[],
): { numbers: Record<Name, number>; texts: Partial<Record<Text, string>> } {
  const names = [...Object.keys(numbers).map(kebab), ...texts];
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" } as const]));
  const given = parseArgs({ options }).values;
  const parsed = Object.entries<NumberOption>(numbers).map(([name, option]) => {
    return [name, parseNumber(kebab(name), given[kebab(name)], option)];
  });
  // The casts hold: the entries have the names of `numbers`, and parseArgs gives no other names than `options`.
  return {
    numbers: Object.fromEntries(parsed) as Record<Name, number>,
    texts: given as Partial<Record<Text, string>>,
  };
}

/** `paceMs` becomes `pace-ms`. */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function parseNumber(name: string, text: unknown, { absent, least, most }: NumberOption): number {
  if (text === undefined) return absent;
  const value = typeof text === "string" && text.trim() !== "" ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new Error(`--${name} ${JSON.stringify(text)}: a number from ${least} to ${most} is needed`);
}
