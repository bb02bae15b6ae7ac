/**
 * Shows what cells write to the standard streams themselves. The stock kernel shows what comes by way of `console` and drops
 * the rest.
 */

type Print = (text: string, isError: boolean) => void;

/** Replaces the ways to write. */
export function replaceStdio(print: Print): void {
  for (const name of ["stdout", "stderr"] as const) {
    const decoder = new TextDecoder();
    const writeSync = (bytes: Uint8Array): number => {
      print(decoder.decode(bytes, { stream: true }), name === "stderr");
      return bytes.byteLength;
    };
    const own = {
      writeSync,
      write: (bytes: Uint8Array) => Promise.resolve(writeSync(bytes)),
    };
    for (const [method, value] of Object.entries(own)) {
      Object.defineProperty(Deno[name], method, { value, configurable: true, writable: true });
    }
  }
}
