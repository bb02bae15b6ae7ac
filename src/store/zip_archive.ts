/**
 * ZIP archives in memory, by zip.js: it reads every archive that Python writes (Zip64 too), compares checksums, and refuses
 * files that overlap. Loaded on demand alone.
 */

// deno-lint-ignore no-import-prefix -- Published modules use no alias of an import map.
import type { FileEntry } from "npm:@zip.js/zip.js@2.24.0";
import { FormatError } from "../base/errors.ts";

/** zip.js, imported where it is used: bundled into one file, a static import would be loaded by every page. */
async function loadZip() {
  // deno-lint-ignore no-import-prefix -- Published modules use no alias of an import map.
  const zipJs = await import("npm:@zip.js/zip.js@2.24.0");
  // A worker would be a file of its own that the reader cannot be sure to find.
  zipJs.configure({ useWebWorkers: false });
  return zipJs;
}

/** A file of an archive. */
export interface ZipFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The files of an archive, in its order; folders are left out. */
export async function unzip(operation: string, bytes: Uint8Array): Promise<ZipFile[]> {
  const zipJs = await loadZip();
  const reader = new zipJs.ZipReader(new zipJs.Uint8ArrayReader(bytes), {
    checkSignature: true,
    checkOverlappingEntry: true,
    // Names are only names of arrays here; no file is written under them.
    filenameValidation: "tolerant",
  });
  try {
    const files: ZipFile[] = [];
    for (const entry of await reader.getEntries()) {
      if (entry.directory) continue;
      // Without strict types, the check of `directory` does not tell one kind of entry from the other.
      const file = entry as FileEntry;
      files.push({ name: file.filename, bytes: await file.getData(new zipJs.Uint8ArrayWriter()) });
    }
    return files;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FormatError(operation, `archive cannot be read (${reason})`, "a ZIP archive", { cause });
  } finally {
    await reader.close();
  }
}

/** An archive of files; the same files give the same bytes. */
export async function zip(
  files: readonly ZipFile[],
  isCompressed: boolean,
): Promise<Uint8Array<ArrayBuffer>> {
  const zipJs = await loadZip();
  const writer = new zipJs.ZipWriter(new zipJs.Uint8ArrayWriter(), {
    level: isCompressed ? 6 : 0,
    // This is the earliest date that the format can hold.
    lastModDate: new Date(1980, 0, 1),
    extendedTimestamp: false,
  });
  for (const { name, bytes } of files) await writer.add(name, new zipJs.Uint8ArrayReader(bytes));
  return new Uint8Array(await writer.close());
}
