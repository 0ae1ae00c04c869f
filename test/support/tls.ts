import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The name that clients know proxies by; in the committed files it is events.example.com. */
export const HOST = "events.example";

/** A self-signed certificate of HOST; paths of PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Both in one file. */
  readonly both: string;
}

/** Makes one, in this directory. */
export async function makeCertificate(directory: string): Promise<Certificate> {
  const path = (name: string): string => join(directory, name);
  const [cert, key, both] = [path("cert.pem"), path("key.pem"), path("both.pem")];
  const algorithm = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const subject = ["-subj", `/CN=${HOST}`, "-addext", `subjectAltName=DNS:${HOST}`];
  const files = ["-keyout", key, "-out", cert];
  const openssl = Bun.spawn(["openssl", "req", "-x509", ...algorithm, ...subject, ...files], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const errors = await new Response(openssl.stderr).text();
  if ((await openssl.exited) !== 0) throw new Error(`openssl made no certificate: ${errors}`);
  writeFileSync(both, readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
  return { cert, key, both };
}
