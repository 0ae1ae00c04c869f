const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const PLAIN = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });

/** `12,345`; from a million on `1.23M`. */
export function formatCount(count: number): string {
  if (Math.abs(count) < 1e6) return GROUPED.format(count);
  const [size, unit] = Math.abs(count) < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${PLAIN.format(count / size)}${unit}`;
}

/** Three digits, for what is measured: `0.5`, `12.3`, `1.2k`. */
export function formatRate(rate: number): string {
  if (rate >= 10_000) return `${PLAIN.format(rate / 1000)}k`;
  return rate >= 100 ? GROUPED.format(rate) : PLAIN.format(Math.round(rate * 10) / 10);
}

/** `0.4 ms`, `12 ms`, `1.2 s`, `3 min`. */
export function formatMs(ms: number): string {
  if (ms < 1000) return `${PLAIN.format(ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms))} ms`;
  if (ms < 60_000) return `${PLAIN.format(ms / 1000)} s`;
  return formatDuration(ms);
}

/** The two largest units of a time: `3d 4h`, `12m 5s`. */
export function formatDuration(ms: number): string {
  const units: readonly (readonly [name: string, size: number])[] = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
  ];
  const first = units.findIndex(([, size]) => ms >= size);
  if (first === -1) return "0s";
  let rest = ms;
  return units
    .slice(first, first + 2)
    .map(([name, size]) => {
      const count = Math.floor(rest / size);
      rest -= count * size;
      return count > 0 ? `${count}${name}` : "";
    })
    .filter((part) => part !== "")
    .join(" ");
}

/** `512 B`, `1.5 KiB`, `12.3 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = bytes;
  let unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit += 1) size /= 1024;
  return `${PLAIN.format(size)} ${units[unit] ?? ""}`;
}

const pad = (value: number, length = 2): string => String(value).padStart(length, "0");

/** `14:03:07.042`, where the reader is. */
export function formatClock(timestampMs: number): string {
  const at = new Date(timestampMs);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
}

/** An instant for people and programs; what no calendar has, as its number. */
export function formatInstant(timestampMs: number): string {
  const at = new Date(timestampMs);
  return Number.isNaN(at.getTime()) ? String(timestampMs) : at.toISOString();
}
