// One file out of a ZIP archive, which `fflate` unpacks.

import { unzipSync } from "fflate";

/**
 * The text of the file whose path ends with `name`.
 *
 * @throws {Error} When the bytes are no ZIP archive, or it has no such file.
 */
export function readZipText(bytes: Uint8Array, name: string): string {
  const paths: string[] = [];
  // Only what is asked for is unpacked.
  const files = unzipSync(bytes, { filter: (file) => paths.push(file.name) > 0 && file.name.endsWith(name) });
  const [file] = Object.values(files);
  if (file === undefined) throw new Error(`readZipText: there is no ${name} among ${paths.join(", ")}`);
  return new TextDecoder().decode(file);
}
