import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";

const STYLES = readFileSync(join(import.meta.dir, "page/styles/base.css"), "utf8");

/** A colour of the page in one of its themes. */
function colour(name: string, theme: "light" | "dark"): string {
  const [, value = ""] = new RegExp(`--${name}: ([^;]+);`).exec(STYLES) ?? [];
  const [, light, dark] = /^light-dark\((#\w{6}), (#\w{6})\)$/.exec(value) ?? [];
  return (theme === "light" ? light : dark) ?? value;
}

/** [WCAG 2.2, relative luminance] */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** [WCAG 2.2, contrast ratio] */
function contrast(one: string, other: string): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

describe.each(["light", "dark"] as const)("the %s theme", (theme) => {
  test("has texts that can be read on whatever they stand (WCAG AA: 4.5)", () => {
    const pairs = ["text", "muted", "accent", "good", "warn", "bad"].flatMap((text) =>
      ["ground", "surface", "raised", "fresh"].map((ground) => [text, ground] as const),
    );
    const faint = [...pairs, ["on-accent", "accent-ground"] as const].filter(
      ([text, ground]) => contrast(colour(text, theme), colour(ground, theme)) < 4.5,
    );
    expect(faint).toEqual([]);
  });

  test("has fields, lines and marks that can be seen (WCAG AA: 3)", () => {
    const marks = ["field-line", "plot-1", "plot-2", "plot-3", "accent"];
    for (let topic = 0; topic < 8; topic += 1) marks.push(`topic-${topic}`);
    const faint = marks.filter(
      (mark) => contrast(colour(mark, theme), colour("surface", theme)) < 3,
    );
    expect(faint).toEqual([]);
  });
});
