import { useEventSource, useSSE } from "headgate/react";

export function Orders(): string {
  const { status, lastMessage } = useSSE({ url: "/stream?topics=orders", onMessage: console.log });
  const { connected, addHandler } = useEventSource({ topics: ["orders"] });
  addHandler("order:*", ({ type, id }) => console.log(type, id));
  // @ts-expect-error: no such option
  useSSE({ url: "/stream", topic: "orders" });
  return connected ? status : String(lastMessage?.data);
}
