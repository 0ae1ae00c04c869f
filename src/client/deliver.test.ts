import { expect, test } from "bun:test";
import type { PublishRequest } from "./attempt.ts";
import { deliver, type DeliveryOptions } from "./deliver.ts";
import { PublishError } from "./publish-error.ts";

const REQUEST: PublishRequest = {
  url: "http://localhost:3000/events",
  body: '{"data":"pay-load"}',
  idempotencyKey: "key-1",
  signal: undefined,
};

const STORED = {
  published: 1,
  events: [{ topic: "events", partition: 0, offset: 7 }],
  receivers: 2,
};

/** An answer, or an error of fetch, or one that never comes. */
type Step = Response | Error | "nothing";

interface Trial {
  readonly requests: RequestInit[];
  readonly delaysMs: number[];
  readonly options: DeliveryOptions;
}

/** A server that does one step at each request, the last one for ever; pauses take no time. */
function trial(steps: readonly Step[], options: Partial<DeliveryOptions> = {}): Trial {
  const requests: RequestInit[] = [];
  const delaysMs: number[] = [];
  return {
    requests,
    delaysMs,
    options: {
      fetch: async (_url, init) => {
        const step = steps[Math.min(requests.length, steps.length - 1)];
        requests.push(init);
        // The types have two Responses, and give a clone the other one.
        if (step instanceof Response) return step.clone() as Response;
        if (step === "nothing") return new Promise<never>(() => undefined);
        throw step;
      },
      token: () => "to-ken",
      timeoutMs: 5000,
      maxRetries: 3,
      random: () => 1,
      pause: (ms) => {
        delaysMs.push(ms);
        return Promise.resolve();
      },
      ...options,
    },
  };
}

const ok = (): Response => Response.json(STORED);

function problem(
  status: number,
  members: object = {},
  headers: Record<string, string> = {},
): Response {
  const body = { type: "/errors/publish-timeout", status, detail: "pay-load to-ken", ...members };
  return Response.json(body, {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}

const lost = (code = "ECONNRESET"): Error => Object.assign(new Error("closed"), { code });

async function failure(delivery: Promise<unknown>): Promise<PublishError> {
  const error = await delivery.catch((reason: unknown) => reason);
  if (error instanceof PublishError) return error;
  throw new Error(`Not a PublishError: ${String(error)}`);
}

test("what is stored at once is sent once, with its token and its key", async () => {
  const { requests, options } = trial([ok()]);
  expect(await deliver(REQUEST, options)).toEqual(STORED);
  expect(requests).toHaveLength(1);
  expect(requests[0]).toMatchObject({
    method: "POST",
    body: REQUEST.body,
    headers: {
      "Content-Type": "application/json",
      "Idempotency-Key": "key-1",
      Authorization: "Bearer to-ken",
    },
  });
});

test.each([429, 502, 503, 504])("%d is tried again, with the same key and body", async (status) => {
  const { requests, options } = trial([problem(status), problem(status), ok()]);
  expect(await deliver(REQUEST, options)).toEqual(STORED);
  expect(requests).toHaveLength(3);
  for (const { body, headers } of requests) {
    expect({ body, headers }).toMatchObject({
      body: REQUEST.body,
      headers: { "Idempotency-Key": "key-1" },
    });
  }
});

test.each([400, 401, 403, 404, 405, 408, 409, 413, 415, 422])(
  "%d is not tried again: nothing of it was stored",
  async (status) => {
    const { requests, options } = trial([problem(status, { type: "/errors/invalid-event" })]);
    const error = await failure(deliver(REQUEST, options));
    expect(requests).toHaveLength(1);
    expect(error).toMatchObject({ status, mayBeStored: false, idempotencyKey: "key-1" });
    expect(error.problem).toMatchObject({
      type: "/errors/invalid-event",
      detail: "pay-load to-ken",
    });
    expect(error.message).toContain(`${status} invalid-event; nothing of it was stored`);
  },
);

test("500 is not tried again, and may be stored", async () => {
  const { requests, options } = trial([new Response("oops", { status: 500 })]);
  const error = await failure(deliver(REQUEST, options));
  expect(requests).toHaveLength(1);
  expect(error).toMatchObject({ status: 500, problem: undefined, mayBeStored: true });
});

const NOT_STORED = problem(503, { mayBeStored: false });

test.each<[string, Step[], boolean]>([
  ["refused each time", [NOT_STORED], false],
  ["too many each time", [problem(429)], false],
  ["never connected", [lost("ECONNREFUSED")], false],
  [
    "no such host, as Node says it",
    [new TypeError("fetch failed", { cause: lost("ENOTFOUND") })],
    false,
  ],
  ["one answer lost, then refused", [lost(), NOT_STORED], true],
  ["one answer lost, then another request", [lost(), problem(422)], true],
  ["the server does not know", [problem(503, { mayBeStored: true }), NOT_STORED], true],
  ["the server says nothing of it", [problem(503), NOT_STORED], true],
  ["it is said in words", [problem(503, { mayBeStored: "false" }), NOT_STORED], true],
  ["a gateway gave up", [new Response("<html>", { status: 504 })], true],
  ["an answer of something else", [new Response("<html>")], true],
  ["an answer without coordinates", [Response.json({ published: 1 })], true],
])("whether it may be stored: %s", async (_name, steps, mayBeStored) => {
  const error = await failure(deliver(REQUEST, trial(steps).options));
  expect(error.mayBeStored).toBe(mayBeStored);
});

test("it gives up after the retries, and says what the last answer was", async () => {
  const { requests, delaysMs, options } = trial([lost(), problem(503, { mayBeStored: false })]);
  const error = await failure(deliver(REQUEST, options));
  expect(requests).toHaveLength(4);
  expect(delaysMs).toEqual([100, 200, 400]);
  expect(error).toMatchObject({ status: 503, problem: { mayBeStored: false } });
  expect(error.message).toBe(
    "POST /events was given up: it was answered with 503 publish-timeout, after 4 attempts; it may be stored, so call again with the same idempotencyKey",
  );
});

test("without retries it is tried once", async () => {
  const { requests, options } = trial([lost()], { maxRetries: 0 });
  const error = await failure(deliver(REQUEST, options));
  expect(requests).toHaveLength(1);
  expect(error).toMatchObject({
    status: undefined,
    problem: undefined,
    cause: { code: "ECONNRESET" },
  });
});

test("Retry-After is waited for, at most 30 s", async () => {
  const { delaysMs, options } = trial([
    problem(429, {}, { "Retry-After": "2" }),
    problem(503, {}, { "Retry-After": "3600" }),
    ok(),
  ]);
  await deliver(REQUEST, options);
  expect(delaysMs).toEqual([2100, 30_200]);
});

test("an answer that does not come is waited for as long as an attempt may take", async () => {
  const { requests, options } = trial(["nothing", ok()], { timeoutMs: 20 });
  expect(await deliver(REQUEST, options)).toEqual(STORED);
  expect(requests).toHaveLength(2);
  expect(requests[0]?.signal?.aborted).toBe(true);
  expect(requests[1]?.signal?.aborted).toBe(false);
});

test("the token is asked for before each attempt", async () => {
  let asked = 0;
  const { requests, options } = trial([problem(503), ok()], {
    token: () => Promise.resolve(`t-${(asked += 1)}\n`),
  });
  await deliver(REQUEST, options);
  const sent = requests.map(({ headers }) => new Headers(headers).get("authorization"));
  expect(sent).toEqual(["Bearer t-1", "Bearer t-2"]);
});

test("without a token that can be sent nothing is sent, and it is not in the error", async () => {
  for (const token of ["to-ken\r\nX: y", "to-kén", ""]) {
    const { requests, options } = trial([ok()], { token: () => token });
    const error = await failure(deliver(REQUEST, options));
    expect(requests).toEqual([]);
    expect(error).toMatchObject({ status: undefined, mayBeStored: false });
    expect(Bun.inspect(error)).not.toContain("to-k");
  }
  const cause = new Error("no network");
  const { options } = trial([ok()], { token: () => Promise.reject(cause) });
  expect(await failure(deliver(REQUEST, options))).toMatchObject({ mayBeStored: false, cause });
});

test("a token that comes too late sends nothing", async () => {
  const { promise: token, resolve } = Promise.withResolvers<string>();
  const { requests, options } = trial([ok()], { token: () => token, timeoutMs: 5 });
  expect(await failure(deliver(REQUEST, options))).toMatchObject({ mayBeStored: false });
  resolve("to-ken");
  await Bun.sleep(0);
  expect(requests).toEqual([]);
});

test("no message repeats what was sent, nor the token, nor the server's words", async () => {
  for (const step of [problem(422), problem(503), problem(400, { type: "pay-load" }), lost()]) {
    const { message } = await failure(deliver(REQUEST, trial([step]).options));
    expect(message).not.toMatch(/pay-load|to-ken/);
  }
});

test("a redirect is not followed: a GET would come of it, and the token would go elsewhere", async () => {
  const moved = new Response(null, { status: 301, headers: { Location: "https://b.example/" } });
  const { requests, options } = trial([moved]);
  const error = await failure(deliver(REQUEST, options));
  expect(requests).toMatchObject([{ redirect: "manual" }]);
  expect(error).toMatchObject({ status: 301, mayBeStored: false });
});

test("an aborted call ends at once: before, while it waits for an answer, and between attempts", async () => {
  const before = trial([ok()]);
  const request = { ...REQUEST, signal: AbortSignal.abort("enough") };
  expect(await failure(deliver(request, before.options))).toMatchObject({
    mayBeStored: false,
    cause: "enough",
  });
  expect(before.requests).toEqual([]);

  const during = new AbortController();
  const silent = trial(["nothing"]);
  const waiting = failure(deliver({ ...REQUEST, signal: during.signal }, silent.options));
  await Promise.resolve();
  during.abort("enough");
  expect(await waiting).toMatchObject({ mayBeStored: true, cause: "enough" });
  expect(silent.requests).toHaveLength(1);

  const between = new AbortController();
  const refused = trial([problem(429)], {
    pause: () => {
      between.abort("enough");
      return Promise.resolve();
    },
  });
  const paused = deliver({ ...REQUEST, signal: between.signal }, refused.options);
  expect(await failure(paused)).toMatchObject({ mayBeStored: false, idempotencyKey: "key-1" });
  expect(refused.requests).toHaveLength(1);
});

test("a duplicate is said to be one", async () => {
  const { options } = trial([lost(), Response.json({ ...STORED, receivers: 0, duplicate: true })]);
  expect(await deliver(REQUEST, options)).toEqual({ ...STORED, receivers: 0, duplicate: true });
});
