/**
 * Where a kernel listens and the key that it shares with its front ends: what a connection file says
 * (https://jupyter-client.readthedocs.io/en/stable/kernels.html#connection-files).
 */

import { ProtocolError } from "../errors.ts";

/** The five sockets of a kernel. */
export type ChannelName = "shell" | "iopub" | "stdin" | "control" | "hb";

/** Their names, in the order of connection files. */
export const CHANNELS: readonly ChannelName[] = ["shell", "iopub", "stdin", "control", "hb"];

/** A kernel's address and secret. */
export interface Connection {
  /** The address, such as 127.0.0.1; only TCP is spoken here. */
  readonly ip: string;
  /** A port for each socket. */
  readonly ports: Readonly<Record<ChannelName, number>>;
  /** The secret by which messages are signed, by HMAC-SHA256. */
  readonly key: string;
  /** The name of the kernelspec, where there is one. */
  readonly kernelName?: string;
}

/** Reads the text of a connection file. */
export function parseConnection(text: string): Connection {
  const operation = "parseConnection";
  let file: Record<string, unknown>;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError(operation, "the text is no JSON", "a connection file", { cause });
  }
  if (typeof file !== "object" || file === null) {
    throw new ProtocolError(operation, `the text is ${file}`, "an object");
  }
  const wish = (name: string, value: unknown, isGood: boolean, expected: string) => {
    if (!isGood) throw new ProtocolError(operation, `${name} is ${JSON.stringify(value)}`, expected);
  };
  const { ip, transport, key, signature_scheme: scheme, kernel_name: kernelName } = file;
  wish("transport", transport, transport === "tcp", '"tcp"');
  wish("ip", ip, typeof ip === "string" && ip !== "", "an address");
  wish("signature_scheme", scheme, scheme === "hmac-sha256", '"hmac-sha256"');
  // The protocol lets an empty key switch signatures off; who asks for that here has made a mistake. The key is not told.
  if (typeof key !== "string" || key === "") throw new ProtocolError(operation, "there is no key", "one");
  const ports = Object.fromEntries(CHANNELS.map((channel) => {
    const port = file[`${channel}_port`];
    const isPort = Number.isInteger(port) && (port as number) > 0 && (port as number) < 65536;
    wish(`${channel}_port`, port, isPort, "a port");
    return [channel, port];
  })) as Record<ChannelName, number>;
  return { ip: ip as string, ports, key, ...(typeof kernelName === "string" ? { kernelName } : {}) };
}

/** The text of a connection file. */
export function formatConnection({ ip, ports, key, kernelName }: Connection): string {
  const numbers = Object.fromEntries(CHANNELS.map((channel) => [`${channel}_port`, ports[channel]]));
  const file = { ...numbers, ip, key, transport: "tcp", signature_scheme: "hmac-sha256" };
  return `${
    JSON.stringify(kernelName === undefined ? file : { ...file, kernel_name: kernelName }, null, 1)
  }\n`;
}

/**
 * A connection on loopback, by ports that are free at this moment and a fresh key. Another program may take one of the
 * ports before the kernel does; then the kernel does not start, and a new connection has to be made.
 */
export function newConnection(kernelName?: string): Connection {
  const ip = "127.0.0.1";
  // All ports are held at the same time, so that no two are the same.
  const listeners = CHANNELS.map(() => Deno.listen({ hostname: ip, port: 0 }));
  const ports = Object.fromEntries(
    CHANNELS.map((channel, at) => [channel, (listeners[at].addr as Deno.NetAddr).port]),
  ) as Record<ChannelName, number>;
  for (const listener of listeners) listener.close();
  const key = crypto.getRandomValues(new Uint8Array(32)).toHex();
  return { ip, ports, key, ...(kernelName === undefined ? {} : { kernelName }) };
}
