import { HeadgateError, quote } from "../../errors.ts";
import type { HttpContext, RouteHandler } from "../context.ts";
import { json } from "../context.ts";
import { isLocal } from "../loopback.ts";
import { parsePublishBody } from "../publish-body.ts";

/** POST /events: one event, or an array of them, durable when the answer comes. */
export const publish: RouteHandler = async (context, { request, server }) => {
  const { publishing, bindHost, allowAnonymousPublish, hub } = context;
  const { headers } = request;
  const peer = server.requestIP(request)?.address;
  if (!allowAnonymousPublish && !isLocal({ bindHost, peer, headers })) {
    throw new HeadgateError(
      "forbidden",
      "Publishing without a token is for loopback; see ALLOW_ANONYMOUS_PUBLISH",
    );
  }
  const contentType = headers.get("content-type") ?? "";
  const [mediaType = ""] = contentType.toLowerCase().split(";");
  if (mediaType.trim() !== "application/json") {
    throw new HeadgateError(
      "unsupported-media-type",
      `Content-Type is ${quote(contentType)}; use application/json`,
    );
  }
  if (headers.has("content-encoding")) {
    throw new HeadgateError(
      "unsupported-media-type",
      "Content-Encoding is not supported; send the body as it is",
    );
  }
  const records = parsePublishBody(await readBody(request, context), publishing);
  if (hub.isDraining) {
    throw new HeadgateError("shutting-down", "The server is stopping", { mayBeStored: false });
  }
  return json(await publishing.publish(records));
};

/** The body as text, of at most `maxBodyBytes`, whatever Content-Length says. */
async function readBody(request: Request, { maxBodyBytes }: HttpContext): Promise<string> {
  const tooLarge = (): HeadgateError =>
    new HeadgateError(
      "too-large",
      `The body has more than ${maxBodyBytes} bytes (SSE_MAX_BODY_BYTES)`,
    );
  if (Number(request.headers.get("content-length") ?? 0) > maxBodyBytes) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBodyBytes) throw tooLarge();
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new HeadgateError("invalid-body", "The body is not UTF-8", { pointer: "" });
  }
}
