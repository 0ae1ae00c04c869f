// The npm package eventsource: the EventSource of browsers, for Node.
import { EventSource } from "eventsource";

const [url, ...types] = process.argv.slice(2);
const source = new EventSource(url);
const print = ({ type, data, lastEventId }) =>
  console.log(JSON.stringify({ event: type, data, id: lastEventId }));
for (const type of types) source.addEventListener(type, print);

// While it waits to come back nothing of it keeps Node alive: a program that only reads would end.
if (!types.includes("default")) setInterval(() => {}, 60_000);
