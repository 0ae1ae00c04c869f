declare module "kafkajs-snappy" {
  /** Makes the codec that kafkajs registers. */
  const createSnappy: () => {
    decompress(bytes: Buffer): Promise<Buffer>;
  };
  export default createSnappy;
}

declare module "lz4js" {
  const lz4: {
    decompress(bytes: Uint8Array): Uint8Array;
    /** How large the frame's content can be at most, from its headers. */
    decompressBound(bytes: Uint8Array): number;
  };
  export default lz4;
}

declare module "kafkajs/src/network/connection.js" {
  import type { ISocketFactory, Logger, SASLOptions } from "kafkajs";
  import type { Socket } from "node:net";
  import type { ConnectionOptions } from "node:tls";

  /** One TCP or TLS connection, with the queue of the requests that wait for an answer. */
  export default class Connection {
    constructor(options: {
      host: string;
      port: number;
      clientId: string;
      connectionTimeout: number;
      requestTimeout: number;
      socketFactory: ISocketFactory;
      ssl: ConnectionOptions | null;
      sasl: SASLOptions | null;
      logger: Logger;
    });
    readonly socket?: Socket;
    connect(): Promise<unknown>;
    isConnected(): boolean;
    send<T>(exchange: {
      request: {
        apiKey: number;
        apiVersion: number;
        apiName: string;
        encode(): Promise<{ buf: Buffer; buffer: Buffer }>;
      };
      response: {
        decode(payload: Buffer): Promise<{ answer: T }>;
        parse(decoded: { answer: T }): Promise<T>;
      };
      logResponseError: boolean;
    }): Promise<T>;
    rejectRequests(error: Error): void;
    disconnect(): Promise<unknown>;
    setVersions(versions: Record<number, { minVersion: number; maxVersion: number }>): void;
    setSupportAuthenticationProtocol(isSupported: boolean): void;
    authenticate(): Promise<void>;
  }
}

declare module "kafkajs/src/network/requestQueue/index.js" {
  export default class RequestQueue {
    readonly pending: readonly unknown[];
    scheduleCheckPendingRequests: (this: RequestQueue) => void;
  }
}
