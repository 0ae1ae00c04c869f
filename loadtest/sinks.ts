import type { Message } from "kafkajs";
import { createKafka } from "../src/kafka/client.ts";
import { createLogger } from "../src/logger.ts";
import type { Address } from "./spread.ts";

/** An event as a publisher made it: JSON, and whom it is for. */
export interface MadeEvent {
  readonly payload: string;
  readonly address: Address;
}

/** Where events go; `send` resolves when they are durable and rejects when they may not be. */
export interface Sink extends AsyncDisposable {
  send(events: readonly MadeEvent[]): Promise<void>;
}

/** `target` is Headgate's address; with `kafka`, a broker's, events go past it into `topic`. */
export interface Destination {
  target?: string;
  kafka?: string;
  topic?: string;
}

/** Throws where the destination is not on this machine. */
export async function openSink({ target, kafka, topic }: Destination): Promise<Sink> {
  if (target !== undefined && kafka === undefined) return httpSink(onLoopback(target), topic);
  if (kafka !== undefined && topic !== undefined) {
    return kafkaSink(onLoopback(`kafka://${kafka}`).host, topic);
  }
  throw new Error("Give --target, or --kafka with --topic");
}

/** This must never load somebody else's machine. */
function onLoopback(text: string): URL {
  const url = new URL(text);
  if (!/^127\.\d+\.\d+\.\d+$/.test(url.hostname)) {
    throw new Error(`${text} is not an address in 127.0.0.0/8`);
  }
  return url;
}

function httpSink(target: URL, topic: string | undefined): Sink {
  const url = new URL("/events", target);
  return {
    send: async (events) => {
      const body = `[${events.map((event) => eventText(event, topic)).join(",")}]`;
      const headers = { "Content-Type": "application/json" };
      const answer = await fetch(url, { method: "POST", headers, body, redirect: "error" });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`${answer.status} ${text.slice(0, 200)}`);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Payloads are put in as they are: they are most of the bytes, and JSON already. */
function eventText({ payload, address }: MadeEvent, topic: string | undefined): string {
  const { key, type, channel, user } = address;
  const to = channel === undefined && user === undefined ? undefined : { channel, user };
  // Without its braces, and empty where nothing is named: JSON leaves out what is undefined.
  const head = JSON.stringify({ topic, key, type, to }).slice(1, -1);
  return head === "" ? `{"data":${payload}}` : `{${head},"data":${payload}}`;
}

async function kafkaSink(broker: string, topic: string): Promise<Sink> {
  const config = { brokers: [broker], clientId: "load-publisher", groupId: "load-publisher" };
  const producer = createKafka(config, createLogger("silent")).producer();
  await producer.connect();
  return {
    send: async (events) => {
      await producer.send({ topic, acks: -1, messages: events.map(message) });
    },
    [Symbol.asyncDispose]: () => producer.disconnect(),
  };
}

function message({ payload, address }: MadeEvent): Message {
  const { key, type, channel, user, partition } = address;
  const headers = {
    ...(type === undefined ? {} : { type }),
    ...(channel === undefined ? {} : { "headgate-channel": channel }),
    ...(user === undefined ? {} : { "headgate-user": user }),
  };
  return {
    value: payload,
    key: key ?? null,
    headers,
    ...(partition === undefined ? {} : { partition }),
  };
}
