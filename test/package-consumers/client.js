// Publishes an event and reads it back: `node client.js URL`.
import { connect, createProducer } from "headgate/client";

const [, , url] = process.argv;
const producer = createProducer({ url });
await producer.publish({ type: "greeting", data: { hello: "world" } });
for await (const event of connect({ url, since: "earliest" })) {
  console.log(event.type, JSON.stringify(event.data));
  break;
}
