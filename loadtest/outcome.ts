import { z } from "zod";

/** One line of the summary. */
export const Outcome = z.object({
  name: z.string(),
  figure: z.string(),
  /** What it should be, where that is said anywhere. */
  target: z.string().optional(),
  isMet: z.boolean().optional(),
});
export type Outcome = z.infer<typeof Outcome>;

/** What one program came to. */
export const StepResult = z.object({
  outcomes: z.array(Outcome),
  /** Events that were missing or came again, and streams that were lost. Must be 0, always. */
  faults: z.number(),
});
export type StepResult = z.infer<typeof StepResult>;

/** A figure that has a unit, or none, and no target. */
export function told(name: string, figure: string): Outcome {
  return { name, figure };
}

/** A figure that should not be above `most`. */
export function atMost(name: string, value: number, most: number, unit = ""): Outcome {
  const text = (number: number): string => `${Number(number.toFixed(2))}${unit}`;
  return { name, figure: text(value), target: `≤ ${text(most)}`, isMet: value <= most };
}
