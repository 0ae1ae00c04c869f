/** As many as the style sheet has. */
const COLOURS = 8;

let known: readonly string[] = [];

/** Gives the first topics a colour each, in their order. */
export function setTopicOrder(topics: readonly string[]): void {
  known = topics;
}

/** A topic's colour. It only repeats what the name beside it says. */
export function topicColour(topic: string): string {
  const place = known.indexOf(topic);
  return `var(--topic-${(place === -1 ? topic.length : place) % COLOURS})`;
}
