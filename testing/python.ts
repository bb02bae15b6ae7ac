// Runs scripts of a Python that tests have found.

import { assert } from "./assert.ts";

/** Runs a script over some bytes and returns what it writes. */
export async function runPython(
  python: string,
  script: string,
  input: Uint8Array<ArrayBuffer> = new Uint8Array(0),
): Promise<Uint8Array<ArrayBuffer>> {
  const command = new Deno.Command(python, {
    args: ["-c", script],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn();
  const writer = child.stdin.getWriter();
  const [{ success, stdout, stderr }] = await Promise.all([
    child.output(),
    writer.write(input).then(() => writer.close()),
  ]);
  assert(success, new TextDecoder().decode(stderr));
  return stdout;
}

/** What a script wrote with `sys.stdout.buffer.write(len(x).to_bytes(4, "little") + x)`, piece by piece. */
export function piecesOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
    pieces.push(bytes.slice(at + 4, end));
    at = end;
  }
  return pieces;
}
