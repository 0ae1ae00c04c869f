/** The package's entry for whoever reads or publishes: browsers, Bun, Deno, Node. */
export { connect } from "./connect.ts";
export { connectShared, type SharedStreamOptions } from "./connect-shared.ts";
export { nativeEventSource } from "./native-event-source.ts";
export { createProducer } from "./producer.ts";
export { PublishError } from "./publish-error.ts";
export { StreamError } from "./stream.ts";
export type { Interruption, InterruptionReason } from "./frame-source.ts";
export type {
  CallOptions,
  EventOptions,
  Producer,
  ProducerEvent,
  ProducerOptions,
} from "./producer.ts";
export type { Published } from "./published.ts";
export type { StandardSchema } from "./standard-schema.ts";
export type {
  ConnectionNotice,
  EventOf,
  LiveNotice,
  PositionStorage,
  ResetNotice,
  Schemas,
  SkippedNotice,
  StatusDetail,
  Stream,
  StreamEvent,
  StreamStatus,
} from "./stream.ts";
export type { InvalidEvent, StreamOptions, Subscription } from "./stream-options.ts";
export type { MakeTransport } from "./transport.ts";
