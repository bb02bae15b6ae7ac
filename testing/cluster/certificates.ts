// Certificates of an authority of one's own, by OpenSSL: for servers on loopback, and for clients.

/** Files in PEM. */
export interface Certificates extends AsyncDisposable {
  /** The authority's certificate. */
  readonly ca: string;
  /** A server's, for 127.0.0.1 and localhost, and its key. */
  readonly cert: string;
  readonly key: string;
  /** A client's, and its key. */
  readonly clientCert: string;
  readonly clientKey: string;
}

/** Makes them in a temporary folder. */
export async function makeCertificates(openssl: string): Promise<Certificates> {
  const folder = await Deno.makeTempDir({ prefix: "attune-tls-" });
  const file = (name: string) => `${folder}/${name}.pem`;
  const make = async (name: string, subject: string, more: readonly string[]) => {
    const { success, stderr } = await new Deno.Command(openssl, {
      args: [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
        ...["-subj", `/CN=${subject}`, "-keyout", file(`${name}-key`), "-out", file(name), ...more],
      ],
    }).output();
    if (!success) throw new Error(`openssl: ${new TextDecoder().decode(stderr)}`);
  };
  const signed = [
    "-CA",
    file("ca"),
    "-CAkey",
    file("ca-key"),
    "-addext",
    "basicConstraints=critical,CA:FALSE",
  ];
  await make("ca", "Attune test authority", []);
  await make("server", "server", [...signed, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]);
  await make("client", "client", [...signed, "-addext", "subjectAltName=DNS:client"]);
  return {
    ca: file("ca"),
    cert: file("server"),
    key: file("server-key"),
    clientCert: file("client"),
    clientKey: file("client-key"),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
