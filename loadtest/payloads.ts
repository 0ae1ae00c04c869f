/**
 * Members of a JSON object as a shop's events might have them, without braces: some 200 to 300 bytes,
 * of which about half are other ones in each event. The same `seed` gives the same members.
 */
export function variedMembers(seed: number): string {
  const random = randomNumbers(seed);
  const pick = <T>(from: readonly T[]): T | "" => from[Math.floor(random() * from.length)] ?? "";
  const price = Math.round(random() * 50_000) / 100;
  const quantity = 1 + Math.floor(random() * 5);
  const order = {
    type: `order.${pick(STATES)}`,
    orderId: `ord_${letters(random)}${letters(random)}`,
    customer: { id: Math.floor(random() * 1e7), name: `${pick(FIRST)} ${pick(LAST)}` },
    items: [{ sku: letters(random).toUpperCase(), quantity, price }],
    currency: pick(CURRENCIES),
    total: Math.round(price * quantity * 100) / 100,
    ...(random() < 0.5 && { note: `Leave it ${pick(PLACES)}, call ${Math.floor(random() * 1e9)}` }),
    country: pick(COUNTRIES),
  };
  return JSON.stringify(order).slice(1, -1);
}

const STATES = ["created", "paid", "packed", "shipped", "delivered", "returned"];
const FIRST = [
  "Ada",
  "Björn",
  "Chidi",
  "Dalia",
  "Emre",
  "Fatima",
  "Grace",
  "Hiro",
  "Ines",
  "Jakub",
];
const LAST = ["Okafor", "Lindqvist", "Moreau", "Tanaka", "Novak", "Haddad", "Silva", "Weber"];
const CURRENCIES = ["EUR", "USD", "GBP", "JPY", "SEK"];
const PLACES = ["at the door", "with the neighbours", "in the garage", "at the front desk"];
const COUNTRIES = ["DE", "FR", "GB", "JP", "NG", "PL", "SE", "US", "BR", "TR"];

function letters(random: () => number): string {
  return Math.floor(random() * 36 ** 8).toString(36);
}

/** Mulberry32: uniform in [0, 1), good enough to look like nothing in particular. */
function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
