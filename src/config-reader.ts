import type { Variable } from "./config-schema.ts";
import { findMistake, isInjectedByKubernetes, mayHoldSecret } from "./config-names.ts";
import { quote } from "./errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;
export type ReadFile = (path: string) => string;

/** Takes single variables out of the environment and gathers what is wrong with them. */
export class EnvironmentReader {
  readonly faults: string[] = [];
  /** The variables that have some. */
  readonly faulty = new Set<string>();
  readonly #environment: Environment;
  readonly #readFile: ReadFile;

  constructor(environment: Environment, readFile: ReadFile) {
    this.#environment = environment;
    this.#readFile = readFile;
  }

  /** undefined where the variable is neither set nor has a default, and after a fault. */
  parse(name: string, variable: Variable<unknown>): unknown {
    const faultsBefore = this.faults.length;
    const value = this.#find(name, variable);
    if (this.faults.length === faultsBefore) return value;
    this.faulty.add(name);
    return undefined;
  }

  #find(name: string, variable: Variable<unknown>): unknown {
    const found = [name, ...variable.aliases].flatMap((alias) => {
      const text = this.#get(alias, variable.isSecret);
      return text === undefined ? [] : [{ alias, text, value: this.#check(alias, text, variable) }];
    });
    if (variable.isSecret) {
      const fromFile = this.#readSecret(name, found.length > 0);
      if (fromFile !== undefined) {
        found.push({ alias: name, text: fromFile, value: this.#check(name, fromFile, variable) });
      }
    }
    const [first, ...others] = found;
    if (first === undefined) {
      return variable.default === undefined ? undefined : variable.value.parse(variable.default);
    }
    for (const other of others) {
      if (JSON.stringify(other.value) === JSON.stringify(first.value)) continue;
      this.faults.push(
        `${first.alias} is ${quote(first.text)} and ${other.alias} is ${quote(other.text)}: they are names of one setting; set one of them`,
      );
    }
    return first.value;
  }

  #get(name: string, isSecret: boolean): string | undefined {
    const raw = this.#environment[name];
    if (raw === undefined || isInjectedByKubernetes(name, raw)) return undefined;
    const text = isSecret ? raw : raw.trim();
    return text === "" ? undefined : text;
  }

  #readSecret(name: string, isSetToo: boolean): string | undefined {
    const path = this.#get(`${name}_FILE`, false);
    if (path === undefined) return undefined;
    if (isSetToo) {
      this.faults.push(`${name} and ${name}_FILE (${quote(path)}) are both set; set one of them`);
      return undefined;
    }
    const content = this.#open(`${name}_FILE is ${quote(path)}`, path)?.replace(/\r?\n$/, "");
    if (content === "") this.faults.push(`${name}_FILE is ${quote(path)}: the file is empty`);
    return content === "" ? undefined : content;
  }

  #check(name: string, text: string, variable: Variable<unknown>): unknown {
    const shown = variable.isSecret ? `${name} (value not shown)` : `${name} is ${quote(text)}`;
    if (variable.isPem && !text.trimStart().startsWith("-----BEGIN "))
      return this.#open(shown, text);
    const result = variable.value.safeParse(text);
    if (result.success) return result.data;
    const expected = [...new Set(result.error.issues.map(({ message }) => message))].join("; ");
    this.faults.push(`${shown}: ${expected}`);
    return undefined;
  }

  #open(shown: string, path: string): string | undefined {
    try {
      return this.#readFile(path);
    } catch (error) {
      // Only the code: the message repeats the path, which may be a secret in the wrong place.
      const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
      this.faults.push(`${shown}: no such file can be read${code}`);
      return undefined;
    }
  }
}

/** One fault for each name that looks like a mistake. */
export function unknownNames(environment: Environment): string[] {
  return Object.entries(environment).flatMap(([name, text]) => {
    if (text === undefined || isInjectedByKubernetes(name, text)) return [];
    const meant = findMistake(name);
    if (meant === undefined) return [];
    // A name that is spelled wrong may not look like a secret's: what it is meant for does.
    const isSecret = mayHoldSecret(name) || mayHoldSecret(meant);
    const shown = isSecret ? `${name} (value not shown)` : `${name} is ${quote(text)}`;
    return [`${shown}: there is no such variable; the closest is ${meant}`];
  });
}
