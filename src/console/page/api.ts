const STORED_AS = "headgate-token";

/** What the caller may do, as `GET /console/session` says. */
export interface Session {
  /** Readable ones. */
  readonly topics: readonly string[];
  /** Those that it may publish to. */
  readonly publish: readonly string[];
  readonly status: boolean;
  readonly user: string | null;
  readonly authentication: "none" | "jwt";
}

/** Asks the page's own server, wherever a proxy has put it, with the token where there is one. */
export class Api {
  #token = readToken();

  get token(): string | undefined {
    return this.#token;
  }

  /** Kept until the tab is closed, and never part of an address. */
  setToken(token: string | undefined): void {
    this.#token = token;
    try {
      if (token === undefined) sessionStorage.removeItem(STORED_AS);
      else sessionStorage.setItem(STORED_AS, token);
    } catch {
      // Without storage it is kept until the page is loaded anew.
    }
  }

  /** Absolute. */
  url(path: string): string {
    return new URL(path, document.baseURI).href;
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.#token !== undefined) headers.set("Authorization", `Bearer ${this.#token}`);
    return fetch(this.url(path), { cache: "no-store", ...init, headers });
  }
}

function readToken(): string | undefined {
  try {
    return sessionStorage.getItem(STORED_AS) ?? undefined;
  } catch {
    return undefined;
  }
}
