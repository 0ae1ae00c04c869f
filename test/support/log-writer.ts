import { EventLog } from "../../src/log/event-log.ts";

/**
 * A process that writes the log at its first argument at some megabytes a second, until somebody kills it:
 * records with consecutive offsets in one partition, trimmed to so many bytes.
 */
const [path = "", maxBytes = "0"] = process.argv.slice(2);
const log = new EventLog({ path, durable: false });
const topic = "t";
if (!log.topic(topic)) log.append([{ kind: "topic", topic, tag: "a", offsets: [0] }]);
const value = Buffer.alloc(1000, 120);

const write = (): void => {
  const from = log.topic(topic)?.offsets[0] ?? 0;
  log.append(
    Array.from({ length: 1 + (from % 200) }, (_, i) => ({
      kind: "record",
      topic,
      partition: 0,
      offset: from + i,
      timestampMs: from + i,
      timestampType: "create",
      key: null,
      value,
      headers: [],
    })),
  );
  log.trim({ arrivedBeforeMs: 0, maxBytes: Number(maxBytes) }, 500);
  setTimeout(write, 20);
};

process.stdout.write("writing\n");
write();
