import { json, type Route } from "../context.ts";

/** How the server and Kafka (or the embedded log) get on. */
export interface KafkaStatus {
  readonly mode: "kafka" | "embedded";
  readonly producer: { readonly connected: boolean };
  readonly consumer: {
    readonly connected: boolean;
    readonly groupId: string | null;
    readonly lastError?: string;
    readonly partitions: readonly {
      readonly topic: string;
      readonly partition: number;
      /** Read next. */
      readonly offset: number;
      readonly highWatermark: number;
      readonly lag: number;
    }[];
  };
}

export const kafkaStatusRoute: Route = {
  path: "/kafka/status",
  summary: "GET says how far each partition has been read",
  methods: { GET: ({ kafkaStatus }) => json(kafkaStatus()) },
};
