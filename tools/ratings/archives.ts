// What the ratings are packed in: a ZIP archive, which `fflate` unpacks, and a package of R, whose files R itself reads.

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

/** Loads the frame from a package's lazy-load files and writes it; what is missing is empty. */
const PROGRAM = `
from <- commandArgs(TRUE)
frames <- new.env()
invisible(lazyLoad(file.path(from[1], "Rdata"), frames))
if (!exists(from[2], frames, inherits = FALSE)) stop("there is no ", from[2])
write.csv(get(from[2], frames), row.names = FALSE, na = "")
`;

/**
 * The data frame `name` of the package whose folder `data` is given, a line of names and a line a row.
 *
 * @throws {Error} When R is missing, or there is no such frame.
 */
export async function readRTable(folder: string, name: string): Promise<string> {
  const command = new Deno.Command("Rscript", { args: ["--vanilla", "-e", PROGRAM, folder, name] });
  const { success, stdout, stderr } = await command.output().catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error("Rscript is missing, get it with: apt-get install r-base-core");
  });
  if (!success) throw new Error(`Rscript: ${new TextDecoder().decode(stderr).trim()}`);
  return new TextDecoder().decode(stdout);
}
