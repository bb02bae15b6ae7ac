/**
 * Names the frames of stack traces after the cells they are in, and leaves those of the kernel itself, and of its widgets, out.
 *
 * Invariant: a frame in a cell reads `attune-cell-N:line:column`, by which the proxy finds the place in what was written;
 * all others read as they did.
 */

import { decodeURIComponent, Error, Object, URL } from "../natives.ts";

/** Where frames are left out: code that calls cells, the kernel itself and the widgets of the library. */
const OWN = [new URL("../", import.meta.url), new URL("../../jupyter/widgets/", import.meta.url)];
/** The same, as URLs and as paths. */
const OWN_FILES = OWN.flatMap(({ href, protocol, pathname }) =>
  protocol === "file:" ? [href, decodeURIComponent(pathname)] : [href]
);

/** Frames of libraries, and of the kernel, must not push those of the cell out. */
const FRAMES = 40;

const EDITED = /\?edited=\d+/;

/** Prepares the traces of all errors from now on. */
export function nameFrames(): void {
  Error.stackTraceLimit = FRAMES;
  Object.defineProperty(Error, "prepareStackTrace", {
    value: prepareStackTrace,
    configurable: true,
    writable: true,
    enumerable: false,
  });
}

function prepareStackTrace(error: Error, sites: NodeJS.CallSite[]): string {
  const lines = [headOf(error)];
  for (const site of sites) {
    const file = site.getFileName() ?? "";
    if (file.startsWith("ext:") || OWN_FILES.some((own) => file.startsWith(own))) continue;
    // The stock kernel's own code has a place, and no name; cells have one, and what is built in has no place.
    const isStocks = !site.getScriptNameOrSourceURL() && !site.isEval() && site.getLineNumber() !== null;
    // A trace without any frame would be written as something else.
    if (isStocks && lines.length > 1) continue;
    // A module that was edited is known by the name of its file.
    lines.push(`    at ${site.toString().replace(EDITED, "")}`);
  }
  return lines.join("\n");
}

function headOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    // Its name does not let itself be read.
    return withoutName(error);
  }
}

function withoutName(error: Error): string {
  try {
    return `Error: ${error.message}`;
  } catch {
    return "Error";
  }
}
