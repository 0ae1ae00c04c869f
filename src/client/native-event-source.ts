import { type Ending, lost, type MakeTransport } from "./transport.ts";

/** The part of a native `EventSource` that is used here. */
interface NativeEventSource {
  addEventListener(type: string, take: (event: NativeMessage) => void): void;
  close(): void;
}

interface NativeMessage {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

type NativeConstructor = new (url: string, init: { withCredentials: boolean }) => NativeEventSource;

/** What comes whatever was asked for. */
const SYSTEM_TYPES = ["connection", "live", "heartbeat", "reset", "skipped", "close"];

/**
 * Reads with the runtime's own `EventSource`, which hands out only the types that it was told. The token
 * travels in the address, which the server has to allow; what is not taken ends the connection until
 * there is room; and why a server refuses is not known.
 * @throws TypeError where there is none, or a type is a pattern.
 */
export const nativeEventSource: MakeTransport = ({ url, withCredentials, types }) => {
  const { EventSource: Native } = globalThis as { readonly EventSource?: NativeConstructor };
  if (!Native) throw new TypeError("There is no EventSource here; leave transport out");
  const pattern = types.find((type) => type.endsWith("*"));
  if (pattern !== undefined) {
    throw new TypeError(
      `An EventSource has to know each type by name, not ${pattern}; leave transport out`,
    );
  }
  return ({ token, lastEventId, signal }, { gate, onBytes, onFrame }) =>
    new Promise((resolve) => {
      const address = withParameters(url(), { token, lastEventId });
      const source = new Native(address, { withCredentials });
      const end = (ending: Ending): void => {
        source.close();
        signal.removeEventListener("abort", onError);
        resolve(ending);
      };
      const onError = (): void => end(lost("unreachable", "The EventSource was cut or refused"));
      // It would come back by itself, but with the address, and so the token, of now.
      source.addEventListener("error", onError);
      signal.addEventListener("abort", onError);
      const take = ({ type, data, lastEventId: id }: NativeMessage): void => {
        onBytes();
        // It was told the id in its address, and does not know it before another one comes.
        onFrame({ type, id: id || (lastEventId ?? ""), data });
        if (!gate.isOpen) end({ kind: "again" });
      };
      for (const type of new Set(["message", ...SYSTEM_TYPES, ...types])) {
        source.addEventListener(type, take);
      }
    });
};

/** As text: URLSearchParams would encode the commas between the items of a list as well. */
function withParameters(url: string, values: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(values).reduce((address, [name, value]) => {
    if (value === undefined) return address;
    return `${address}${address.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(value)}`;
  }, url);
}
