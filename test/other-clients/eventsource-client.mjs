// The npm package eventsource-client: events of all types as an async iterable.
import { createEventSource } from "eventsource-client";

const source = createEventSource({ url: process.argv[2] });
for await (const { event = "message", data, id = "" } of source) {
  console.log(JSON.stringify({ event, data, id }));
}
