/** A server to compare with. */
export interface Peer {
  readonly name: string;
  /** Makes ready to start what is not there yet, in a folder of the cache. Throws with the reason where it cannot. */
  install(): Promise<InstalledPeer>;
}

export interface InstalledPeer {
  /** Of the server, and of what it runs on. */
  readonly version: string;
  /** On a free port of 127.0.0.1; resolves when it answers. */
  start(): Promise<RunningPeer>;
}

/** One server process, killed by `await using`. */
export interface RunningPeer extends AsyncDisposable {
  /** The process whose CPU time counts. */
  readonly pid: number;
  readonly port: number;
  /** Of a subscriber's event stream. */
  readonly path: string;
  /** Publishes `{"t":<microseconds since 1970>,"n":<number>,"p":"xxx…"}` at an even rate, until it is stopped. */
  publish(load: Load): Publishing;
}

export interface Load {
  /** Events a second. */
  readonly rate: number;
  /** Length of `p`. */
  readonly bytes: number;
}

export interface Publishing {
  stop(): Promise<void>;
}
