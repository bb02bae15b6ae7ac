// Data that a notebook's outputs are of, and that may be missing: some data must not be passed on, so it is
// no part of the repository, and users who are allowed to use it fetch it.
//
// Such a notebook names its file in its metadata, `"attune": { "data": { "file": …, "sha256": … } }`, and
// runs without it on something made up. What it shows then has other numbers than what is committed, and can
// be compared by its kinds alone.

import type { Notebook } from "./document.ts";

/** Why the outputs of a notebook cannot be made again here, in a sentence; null when they can. */
export async function missingData({ metadata }: Notebook, folder: URL): Promise<string | null> {
  const named = (metadata.attune as { readonly data?: NamedData } | undefined)?.data;
  if (named === undefined) return null;
  const { file, sha256 } = named;
  try {
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(new URL(file, folder)));
    const found = new Uint8Array(digest).toHex();
    return found === sha256 ? null : `${file} is other data than that of the committed outputs`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `${file} is missing`;
    throw error;
  }
}

interface NamedData {
  readonly file: string;
  readonly sha256: string;
}
