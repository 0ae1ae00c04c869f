import { createHeadgate, type Headgate } from "headgate";

const headgate: Headgate = createHeadgate({
  port: 3001,
  topics: ["orders"],
  dashboard: () => ({ orders: { open: 3 } }),
});
await headgate.start();
const { total } = await headgate.connections();
const receivers: number = await headgate.broadcast({ total }, { type: "greeting" });
await headgate.sendPaymentNotification("p1", "completed", { amount: receivers }, "all");
// @ts-expect-error: no such option
createHeadgate({ heartbeat: 1 });
