import { connect, createProducer, type Published, PublishError } from "headgate/client";

const producer = createProducer({ url: "https://events.example", token: () => "token" });
const published: Published = await producer.publish({ type: "greeting", data: 1 });
const receivers: number = await producer.sendToUser("ann", published);
await producer.sendNotification("payment", "p1", "failed", { amount: receivers }, "user", "ann");
// @ts-expect-error: no status of a payment
await producer.sendNotification("payment", "p1", "lost", {}, "all").catch(isRefused);
for await (const { type, data, id } of connect({ topics: ["orders"], recent: 10 })) {
  const texts: string[] = [type, id];
  const value: unknown = data;
  // @ts-expect-error: any JSON
  const wrong: string = data;
  console.log(texts, value, wrong);
}

function isRefused(error: unknown): boolean {
  return error instanceof PublishError && !error.mayBeStored;
}
