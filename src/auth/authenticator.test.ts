import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { makeKeyPair, principalOf, refusal, sign } from "../../test/support/tokens.ts";
import { createAuthenticator } from "./authenticator.ts";
import type { Authenticator } from "./principal.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";

const create = (settings: Record<string, string>): Authenticator =>
  createAuthenticator({ mode: "jwt", defaultClaims: {}, allowQueryToken: false, ...settings });

/** The message of the refusal, which holds nothing of what was given. */
async function refused(settings: Record<string, string>): Promise<string> {
  const { code, message, details } = await refusal(() => create(settings));
  expect(code).toBe("configuration");
  expect(details.cause).toBeUndefined();
  for (const value of Object.values(settings)) {
    for (const line of value.split("\n").filter((one) => one.length > 20)) {
      if (!line.startsWith("-----")) expect(message).not.toContain(line.slice(0, 12));
    }
  }
  return message;
}

const rsa = makeKeyPair("RS256");
const PRIVATE_PEMS = [
  rsa.privateKey.export({ type: "pkcs8", format: "pem" }),
  rsa.privateKey.export({ type: "pkcs1", format: "pem" }),
  makeKeyPair("ES256").privateKey.export({ type: "sec1", format: "pem" }),
  rsa.privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" }),
  `${rsa.pem}${rsa.privateKey.export({ type: "pkcs8", format: "pem" })}`,
];

test.each(PRIVATE_PEMS)("C2 a private key as the public one stops the start (%#)", async (pem) => {
  expect(await refused({ publicKey: pem })).toContain("JWT_PUBLIC_KEY holds a private key");
});

test.each([
  [""],
  ["not a key at all, whatever it is"],
  ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"],
  ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"],
  [rsa.pem.replace(/\n.{20}/, "\n")],
  [rsa.pem.replaceAll("\n", "")],
  [JSON.stringify(rsa.publicJwk)],
])("what is no PEM of a public key stops the start (%#)", async (pem) => {
  expect(await refused({ publicKey: pem })).toContain("JWT_PUBLIC_KEY is no usable PEM");
});

test("an RSA key under 2048 bits stops the start", async () => {
  const { pem } = makeKeyPair("RS256", { rsaBits: 1024 });
  expect(await refused({ publicKey: pem })).toContain("1024 bits; at least 2048");
});

test.each(["x25519", "ec"])("a key of %s that signs no tokens stops the start", async (type) => {
  const { publicKey } =
    type === "ec"
      ? generateKeyPairSync("ec", { namedCurve: "P-224" })
      : generateKeyPairSync("x25519");
  const pem = publicKey.export({ type: "spki", format: "pem" });
  expect(await refused({ publicKey: pem })).toContain("JWT_PUBLIC_KEY is");
});

test("C2 a PEM as the secret stops the start", async () => {
  expect(await refused({ secret: rsa.pem })).toContain("JWT_SECRET holds a PEM");
});

test("an empty secret, and none of the three, stop the start", async () => {
  expect(await refused({ secret: "" })).toContain("JWT_SECRET is empty");
  expect(await refused({})).toContain("needs one of");
});

test.each([
  ["nonsense"],
  ["file:///etc/passwd"],
  ["data:application/json,{}"],
  ["ftp://id.example/jwks"],
  ["https://very-secret-user@id.example/jwks"],
  ["https://:very-secret-password@id.example/jwks"],
])("the address %s of a JWK Set stops the start", async (jwksUrl) => {
  const message = await refused({ jwksUrl });
  expect(message).toContain("JWT_JWKS_URL must be");
  expect(message).not.toContain("very-secret");
});

test.skipIf(Bun.which("openssl") === null)(
  "a certificate gives its public key, and of a chain the first one counts",
  async () => {
    using directory = temporaryDirectory();
    const certify = (name: string): { cert: string; key: string } => {
      const [cert, key] = [
        join(directory.path, `${name}.crt`),
        join(directory.path, `${name}.key`),
      ];
      const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
      const output = ["-keyout", key, "-out", cert, "-subj", `/CN=${name}`];
      const made = Bun.spawnSync(["openssl", "req", "-x509", ...kind, ...output]);
      expect(made.exitCode).toBe(0);
      return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
    };
    const [leaf, root] = [certify("leaf"), certify("root")];
    const { createPrivateKey } = await import("node:crypto");
    const token = await sign({ alg: "ES256", privateKey: createPrivateKey(leaf.key) });
    for (const publicKey of [leaf.cert, `${leaf.cert}${root.cert}`]) {
      expect((await principalOf(create({ publicKey }), token)).user).toBe("u1");
    }
    const error = await refusal(() => principalOf(create({ publicKey: root.cert }), token));
    expect(error.message).toContain("signature");
  },
);
