/**
 * Bytes as base64 text. `Uint8Array.prototype.toBase64` does the same, but Node has it only from version 25
 * on.
 */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  // The bytes are converted in pieces, since the number of arguments of a call is limited.
  for (let at = 0; at < bytes.length; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return btoa(text);
}
