import { json, type Route } from "../context.ts";

export const kafkaStatusRoute: Route = {
  path: "/kafka/status",
  access: "status",
  summary: "GET says how far each partition has been read, and what has come in the time just past",
  methods: { GET: async ({ kafkaStatus }) => json(await kafkaStatus()) },
};
