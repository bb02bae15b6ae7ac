// One file out of a ZIP archive: stored or deflated, found by the archive's directory (APPNOTE.TXT of PKWARE, §4.3).

const END = 0x06054b50, ENTRY = 0x02014b50;
const END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30;
const STORED = 0, DEFLATED = 8;

/**
 * The text of the file whose path ends with `name`.
 *
 * @throws {Error} When the bytes are no ZIP archive, or it has no such file.
 */
export async function readZipText(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<string> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - END_SIZE;
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  if (end < 0) {
    throw new Error(`readZipText: ${bytes.length} bytes without a directory, expected a ZIP archive`);
  }
  const names: string[] = [];
  let at = view.getUint32(end + 16, true);
  for (let count = view.getUint16(end + 10, true); count > 0; count--) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error("readZipText: the directory is damaged");
    const field = (offset: number) => view.getUint16(at + offset, true);
    const path = new TextDecoder().decode(bytes.subarray(at + ENTRY_SIZE, at + ENTRY_SIZE + field(28)));
    if (path.endsWith(name)) {
      const size = view.getUint32(at + 20, true), local = view.getUint32(at + 42, true);
      const from = local + LOCAL_SIZE + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      return new TextDecoder().decode(await unpack(bytes.slice(from, from + size), field(10)));
    }
    names.push(path);
    at += ENTRY_SIZE + field(28) + field(30) + field(32);
  }
  throw new Error(`readZipText: there is no ${name} among ${names.join(", ")}`);
}

async function unpack(packed: Uint8Array<ArrayBuffer>, method: number): Promise<Uint8Array> {
  if (method === STORED) return packed;
  if (method !== DEFLATED) {
    throw new Error(`readZipText: compression ${method}, expected ${STORED} or ${DEFLATED}`);
  }
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
