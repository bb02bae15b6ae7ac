// From the sources to the folder that a static host serves: one page with all that it needs, and the
// notebooks that it links to.
//
// Invariant: the same sources give the same bytes; the page asks for nothing, and its policy lets it ask for
// nothing.

import { bundle } from "../bundle.ts";
import { SEQUENTIAL } from "../../src/display/color_scales.ts";
import { embedScript } from "../../src/display/escape.ts";
import { pageColorRules } from "../../src/jupyter/figures/palette.ts";
import { gallery, moreNotebooks } from "./gallery.ts";

const ROOT = new URL("../../", import.meta.url);
/** Modules that only notebooks, files and consoles need. */
const UNUSED = ["./engine_snapshot.ts", "./matrix_bundle.ts"];

/** How the folder is to be. */
export interface SiteOptions {
  /**
   * The address of the folder in which the notebooks are; they are put into the folder unless it is given.
   */
  readonly notebooks?: string;
}

/** The files of the folder, by path. */
export async function buildSite(
  { notebooks }: SiteOptions = {},
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const [page, sheet, script, exhibits] = await Promise.all([
    Deno.readTextFile(new URL("page.html", import.meta.url)),
    Deno.readTextFile(new URL("page.css", import.meta.url)),
    bundle(new URL("playground/main.ts", ROOT), { external: UNUSED, format: "esm" }),
    gallery(notebooks),
  ]);
  const numbers = `:root { --numbers: ${SEQUENTIAL.join(", ")}; }`;
  const style = [pageColorRules(), numbers, sheet].join("\n");
  const program = embedScript(script.trim());
  const policy = [
    "default-src 'none'",
    // 'wasm-unsafe-eval' compiles WebAssembly, and nothing else.
    `script-src '${await digest(program)}' 'wasm-unsafe-eval'`,
    `style-src '${await digest(style)}'`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const parts: Readonly<Record<string, string>> = {
    policy: `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    style: `<style>${style}</style>`,
    program: `<script type="module">${program}</script>`,
    gallery: exhibits,
    more: moreNotebooks(notebooks),
  };
  const html = page.replace(/<!-- (\w+) -->/g, (_, name) => {
    if (Object.hasOwn(parts, name)) return parts[name];
    throw new Error(`site: page.html asks for ${name}, expected one of ${Object.keys(parts).join(", ")}`);
  });
  files.set("index.html", new TextEncoder().encode(html));
  if (notebooks !== undefined) return files;
  for await (const { name } of Deno.readDir(new URL("notebooks/", ROOT))) {
    if (name.endsWith(".ipynb")) {
      files.set(`notebooks/${name}`, await Deno.readFile(new URL(`notebooks/${name}`, ROOT)));
    }
  }
  return files;
}

async function digest(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return `sha256-${hash.toBase64()}`;
}
