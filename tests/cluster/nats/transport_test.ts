// The connection under the NATS client: peers that are no servers, that refuse, that go away, and that want
// TLS. None of them ends the process, and each gives a typed error.

import { LogError } from "../../../src/cluster/log.ts";
import { natsLog } from "../../../src/cluster/nats/nats_log.ts";
import { loadNats } from "../../../src/cluster/nats/packages.ts";
import type { NatsLogOptions } from "../../../src/cluster/nats/nats_options.ts";
import { assert, assertEquals, assertRejects } from "../../../testing/assert.ts";
import { makeCertificates } from "../../../testing/cluster/certificates.ts";
import { findNatsServer, NATS_REMEDY, NatsServers } from "../../../testing/cluster/nats_server.ts";
import { findProgram, IS_LONG, requires } from "../../../testing/requirements.ts";

const program = findNatsServer(), openssl = findProgram("openssl");
const server = requires("nats-server", program, NATS_REMEDY);
const withTls = { ignore: server.ignore || requires("openssl", openssl, "apt-get install openssl").ignore };
const auth = { user: "app", password: "app" };

/** A peer on loopback that says something and then does as it is told. */
function startPeer(talk: (connection: Deno.TcpConn) => Promise<void>) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const talking: Promise<void>[] = [];
  const listening = (async () => {
    for await (const connection of listener) {
      talking.push((async () => {
        try {
          await talk(connection);
        } catch {
          // The other end is gone.
        } finally {
          try {
            connection.close();
          } catch {
            // It is closed.
          }
        }
      })());
    }
  })();
  return {
    address: `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await listening;
      await Promise.all(talking);
    },
  };
}

const INFO = {
  server_id: "x",
  server_name: "peer",
  version: "2.15.1",
  proto: 1,
  go: "go",
  host: "127.0.0.1",
  port: 1,
  headers: true,
  max_payload: 1 << 20,
  jetstream: true,
  client_id: 1,
};
const info = (change: object) => `INFO ${JSON.stringify({ ...INFO, ...change })}\r\n`;

async function failure(options: Partial<NatsLogOptions> & { readonly servers: string }): Promise<LogError> {
  return await assertRejects(() => natsLog({ name: "m", ...options }).open("client"), LogError);
}

Deno.test("a peer that is no server of NATS is unreachable, whatever it says", async () => {
  const encoder = new TextEncoder();
  const greetings = [
    "",
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "INFO \r\n",
    "INFO {\r\n",
    "INFO null\r\n",
    "+OK\r\n",
    "x".repeat(100_000),
    `${info({})}PING\r\n`,
    "\xff\xfe\x00\r\n",
  ];
  for (const greeting of greetings) {
    await using peer = startPeer(async (connection) => {
      await connection.write(encoder.encode(greeting));
    });
    const error = await failure({ servers: peer.address });
    assertEquals(error.reason, "unreachable", `${JSON.stringify(greeting.slice(0, 30))}: ${error.message}`);
  }
});

Deno.test("a server that wants TLS where none was asked for, or has none where it was, is not spoken to", async () => {
  const said: string[] = [];
  const listen = (greeting: string) =>
    startPeer(async (connection) => {
      await connection.write(new TextEncoder().encode(greeting));
      const bytes = new Uint8Array(1000), count = await connection.read(bytes);
      if (count !== null) said.push(new TextDecoder().decode(bytes.subarray(0, count)));
    });
  await using eager = listen(info({ tls_required: true }));
  await using plain = listen(info({}));
  const secret = { user: "app", password: "a-secret-word" };
  for (
    const options of [
      { servers: eager.address, auth: secret },
      { servers: plain.address, auth: secret, tls: true },
      { servers: `tls://${plain.address}`, auth: secret },
    ]
  ) {
    const error = await failure(options);
    assertEquals(error.reason, "refused", error.message);
  }
  assertEquals(said.filter((text) => text.includes("secret")), []);
});

Deno.test("each kind of login answers the server's challenge, and a seed that is none is refused before anything is sent", async () => {
  const { core } = await loadNats(), nonce = "challenge", user = core.nkeys.createUser();
  const seed = new TextDecoder().decode(user.getSeed());
  const creds = `-----BEGIN NATS USER JWT-----\nheader.claims.signature\n------END NATS USER JWT------\n\n` +
    `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
  const answers = [
    { auth: { user: "a", password: "b" }, expected: { user: "a", pass: "b" } },
    { auth: { token: "t" }, expected: { auth_token: "t" } },
    { auth: { nkey: seed }, expected: { nkey: user.getPublicKey() } },
    { auth: { creds }, expected: { jwt: "header.claims.signature", nkey: user.getPublicKey() } },
  ];
  for (const { auth, expected } of answers) {
    const heard = Promise.withResolvers<string>();
    await using peer = startPeer(async (connection) => {
      await connection.write(new TextEncoder().encode(info({ auth_required: true, nonce })));
      const bytes = new Uint8Array(4000), count = await connection.read(bytes);
      heard.resolve(new TextDecoder().decode(bytes.subarray(0, count ?? 0)));
      await connection.write(new TextEncoder().encode("-ERR 'Authorization Violation'\r\n"));
    });
    const error = await failure({ servers: peer.address, auth });
    assertEquals(error.reason, "refused", error.message);
    const said: unknown = JSON.parse(/^CONNECT (.*)\r\n/.exec(await heard.promise)?.[1] ?? "null");
    const fields = new Map<string, unknown>(Object.entries(said ?? {}));
    for (const [name, value] of Object.entries(expected)) assertEquals(fields.get(name), value, name);
    const signature = fields.get("sig");
    if (typeof signature === "string") {
      assert(
        user.verify(
          new TextEncoder().encode(nonce),
          Uint8Array.fromBase64(signature),
        ),
      );
    }
    assertEquals(fields.has("sig"), "nkey" in expected);
  }
  for (
    const auth of [{ nkey: "SUNOSEED" }, { nkey: user.getPublicKey() }, { creds: "nothing" }, {
      creds: creds.replace(seed, "SUNOSEED"),
    }]
  ) {
    let isAsked = false;
    await using peer = startPeer(async (connection) => {
      isAsked = true;
      await connection.read(new Uint8Array(10));
    });
    const error = await failure({ servers: peer.address, auth });
    assertEquals([error.reason, isAsked], ["refused", false], error.message);
    assert(!error.message.includes("SUNO"), error.message);
  }
});

Deno.test({
  name: "a server that goes away between the greeting and the login is a typed error in some seconds",
  fn: async () => {
    await using peer = startPeer(async (connection) => {
      await connection.write(new TextEncoder().encode(info({})));
      await connection.read(new Uint8Array(1000));
    });
    const started = performance.now(), error = await failure({ servers: peer.address });
    assertEquals(error.reason, "unreachable");
    assert(performance.now() - started < 8000);
  },
});

Deno.test({
  name: "logins that are refused, one after the other and at once, end no process and leave nothing behind",
  ...server,
  fn: async () => {
    await using servers = await NatsServers.start({ program: program ?? "" });
    const [address] = servers.addresses, count = IS_LONG ? 200 : 40;
    const code = `
      import { natsLog } from ${
      JSON.stringify(new URL("../../../src/cluster/nats/nats_log.ts", import.meta.url).href)
    };
      const log = natsLog({ servers: "${address}", name: "m", auth: { user: "app", password: "wrong" } });
      const refused = async () => {
        try { await log.open("host"); return "opened"; } catch (error) { return error.reason; }
      };
      const reasons = [];
      for (let at = 0; at < ${count / 2}; at++) reasons.push(await refused());
      reasons.push(...await Promise.all(Array.from({ length: ${count / 2} }, refused)));
      console.log(JSON.stringify(reasons));
    `;
    const { code: status, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", "--ext=ts", code],
    }).output();
    assertEquals([status, new TextDecoder().decode(stderr)], [0, ""]);
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), Array(count).fill("refused"));
  },
});

Deno.test({
  name:
    "TLS of an authority of one's own: after the greeting, before it, and with a certificate of the client",
  ...withTls,
  fn: async () => {
    await using files = await makeCertificates(openssl ?? "");
    const read = (path: string) => Deno.readTextFile(path);
    const ca = await read(files.ca), cert = await read(files.clientCert), key = await read(files.clientKey);
    const { cert: certFile, key: keyFile } = files;
    const kinds = [
      { tls: { cert: certFile, key: keyFile }, right: { ca }, wrong: [true, false] },
      {
        tls: { cert: certFile, key: keyFile, isFirst: true },
        right: { ca, handshakeFirst: true },
        wrong: [{ handshakeFirst: true }],
      },
      {
        tls: { cert: certFile, key: keyFile, ca: files.ca, isFirst: true },
        right: { ca, cert, key, handshakeFirst: true },
        wrong: [{ ca, handshakeFirst: true }],
      },
    ] as const;
    for (const { tls, right, wrong } of kinds) {
      await using servers = await NatsServers.start({ program: program ?? "", tls });
      const [address] = servers.addresses;
      await using session = await natsLog({ servers: address, name: "m", auth, tls: right }).open("host");
      const sequence = await session.append("a", new Uint8Array(300_000).fill(5));
      for await (const records of session.follow("a", 0)) {
        assertEquals(records.map((record) => [record.sequence, record.body.length]), [[sequence, 300_000]]);
        break;
      }
      for (const other of wrong) {
        const error = await failure({ servers: address, auth, tls: other });
        assert(error.reason === "refused" || error.reason === "unreachable", error.message);
      }
      // A name that the certificate does not have.
      await using named = await natsLog({
        servers: address.replace("127.0.0.1", "localhost"),
        name: "m",
        auth,
        tls: right,
      }).open("client");
      assertEquals(await named.lastSequence("a"), sequence);
    }
  },
});
