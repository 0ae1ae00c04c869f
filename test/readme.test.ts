import { expect, test } from "bun:test";
import { nginxAvailable, startNginx } from "./support/nginx.ts";
import { publish, startLocalServer } from "./support/server.ts";
import { blocksOf } from "./support/guide.ts";
import { textOf } from "./support/markdown.ts";
import { TestSubscriber } from "./support/subscriber.ts";

const HOST = { Host: "events.example.com" };

test.skipIf(!nginxAvailable())(
  "G5 the README's nginx streams, keeps quiet streams, resumes, and publishes for nobody",
  async () => {
    const block = blocksOf(textOf("README.md")).find(({ language }) => language === "nginx");
    const [, directives = ""] = /^server \{\n(.*)^\}$/ms.exec(block?.text ?? "") ?? [];
    await using server = await startLocalServer({
      ALLOWED_HOSTS: HOST.Host,
      SSE_HEARTBEAT_INTERVAL: "300",
    });
    const upstream = directives.replace("127.0.0.1:3000", `127.0.0.1:${server.port}`);
    await using proxy = await startNginx(`proxy_read_timeout 1s; ${upstream}`);
    await using subscriber = await TestSubscriber.live(proxy.url, "/events", { headers: HOST });
    // Longer than nginx waits for a byte.
    await subscriber.until(() => subscriber.named("heartbeat").length >= 5);
    await publish(server.url, [{ data: 1 }, { data: 2 }]);
    const [first] = await subscriber.recordsUpTo(2);
    const again = { headers: HOST, lastEventId: first?.id ?? "" };
    await using resumed = await TestSubscriber.live(proxy.url, "/events", again);
    expect(resumed.records.map(({ data }) => data)).toEqual(["2"]);
    expect((await publish(proxy.url, { data: 3 }, HOST)).status).toBe(403);
  },
);
