/** Drawing primitives for the plots: texts and shapes whose colours follow the reader's light or dark scheme. */

export const WIDTH = 720;

/** Classes that `document` gives a colour to. */
export type Ink = "text" | "soft" | "ours" | "other" | "grid" | "axis";

export type Anchor = "start" | "middle" | "end";

/** What stands above a picture: a title, and under which conditions. */
export interface Heading {
  readonly title: string;
  readonly notes: readonly string[];
}

/**
 * A whole picture. It has a ground of its own: a page may be dark where the reader's system is light.
 * `draw` is told where the heading ends, and tells where its own part does.
 */
export function document(
  { title, notes }: Heading,
  draw: (top: number) => { readonly body: readonly string[]; readonly bottom: number },
): string {
  const heading = [text(title, { x: MARGIN, y: 30, ink: "text", className: "title" })];
  for (const [index, note] of wrap(notes).entries()) {
    heading.push(text(note, { x: MARGIN, y: 50 + index * NOTE_STEP, ink: "soft" }));
  }
  const { body, bottom } = draw(40 + heading.length * NOTE_STEP);
  const height = round(bottom + MARGIN / 2);
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}" rx="6"/>`,
    ...heading,
    ...body,
    "</svg>",
  ];
  return `${lines.join("\n")}\n`;
}

export const MARGIN = 24;
const NOTE_STEP = 18;

/** As many notes a line as it has room for. */
function wrap(notes: readonly string[]): readonly string[] {
  const lines: string[] = [];
  for (const note of notes) {
    const longer = [lines.at(-1), note].filter((part) => part !== undefined).join(" · ");
    if (lines.length === 0 || widthOf(longer) > WIDTH - MARGIN * 2) lines.push(note);
    else lines.splice(-1, 1, longer);
  }
  return lines;
}

export function text(
  content: string,
  place: { x: number; y: number; ink: Ink; anchor?: Anchor; className?: string },
): string {
  const { x, y, ink, anchor = "start", className } = place;
  const classes = className === undefined ? ink : `${ink} ${className}`;
  return `<text x="${round(x)}" y="${round(y)}" class="${classes}" text-anchor="${anchor}">${escape(content)}</text>`;
}

export function line(from: Point, to: Point, ink: Ink): string {
  return `<line x1="${round(from.x)}" y1="${round(from.y)}" x2="${round(to.x)}" y2="${round(to.y)}" class="${ink}"/>`;
}

/** Through all points, each marked. */
export function path(points: readonly Point[], ink: Ink): string {
  const places = points.map(({ x, y }) => `${round(x)},${round(y)}`).join(" ");
  const marks = points.map(
    ({ x, y }) => `<circle cx="${round(x)}" cy="${round(y)}" r="4" class="${ink} mark"/>`,
  );
  return [`<polyline points="${places}" class="${ink} curve"/>`, ...marks].join("\n");
}

/** From the base line to the right, its far end rounded. */
export function bar(place: Point & { width: number; height: number; ink: Ink }): string {
  const { x, y, width, height, ink } = place;
  const r = Math.min(4, width / 2);
  const end = x + width - r;
  const [top, bottom] = [round(y), round(y + height)];
  const far = round(x + width);
  const corner = `Q${far},${top} ${far},${round(y + r)} V${round(y + height - r)} Q${far},${bottom} ${round(end)},${bottom}`;
  return `<path d="M${round(x)},${top} H${round(end)} ${corner} H${round(x)} Z" class="${ink}"/>`;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** How wide a text is at most, roughly: no font can be asked here. */
export function widthOf(content: string): number {
  return content.length * 7.5;
}

/** The same picture from the same numbers, whatever they were computed by. */
function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escape(content: string): string {
  return content
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

const STYLE = `
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; }
.title { font-size: 16px; font-weight: 600; }
.strong { font-weight: 600; }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
.ground { fill: #ffffff; }
text.text { fill: #1f2328; }
text.soft { fill: #59636e; }
path.ours, circle.ours { fill: #2563c9; }
path.other, circle.other { fill: #a3adb8; }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
polyline.ours { stroke: #2563c9; }
circle.mark { stroke: #ffffff; stroke-width: 2; }
line.grid { stroke: #e3e8ed; }
line.axis { stroke: #8c959f; }
line.soft { stroke: #59636e; stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  .value { stroke: #0d1117; }
  .ground { fill: #0d1117; }
  text.text { fill: #e6edf3; }
  text.soft { fill: #9198a1; }
  path.ours, circle.ours { fill: #6aa2f7; }
  path.other, circle.other { fill: #5f6a76; }
  polyline.ours { stroke: #6aa2f7; }
  circle.mark { stroke: #0d1117; }
  line.grid { stroke: #262c34; }
  line.axis { stroke: #6e7681; }
  line.soft { stroke: #9198a1; }
}
`;
