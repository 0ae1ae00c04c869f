import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The name that clients know proxies by; in the committed files it is events.example.com. */
export const HOST = "events.example";

/** A self-signed certificate; paths of PEM files: `name.crt`, `name.key`, `name.pem`. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Both in one file. */
  readonly both: string;
}

/** Makes one in this directory, for a name, or as it is told whom it is for: `IP:127.0.0.1`. */
export async function makeCertificate(
  directory: string,
  name = HOST,
  whom = `DNS:${name}`,
): Promise<Certificate> {
  const [cert = "", key = "", both = ""] = ["crt", "key", "pem"].map((end) =>
    join(directory, `${name}.${end}`),
  );
  const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=${whom}`];
  const output = ["-keyout", key, "-out", cert, "-nodes", "-days", "2"];
  const command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", ...output, ...subject];
  const openssl = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const errors = await new Response(openssl.stderr).text();
  if ((await openssl.exited) !== 0) throw new Error(`openssl made no certificate: ${errors}`);
  // In the order in which Kafka wants them.
  writeFileSync(both, readFileSync(key, "utf8") + readFileSync(cert, "utf8"));
  return { cert, key, both };
}
