/**
 * Makes packages found that no import map names, and modules of the notebook's folder that were edited loaded anew, in cells
 * and in the modules that they import.
 */

import module from "node:module";
import { pathToFileURL } from "node:url";
import { Builtins } from "./builtins.ts";
import { Editions } from "./editions.ts";
import { Deno, Object, Reflect, SyntaxError, TypeError, URL } from "../natives.ts";

/** A name that cannot be resolved has no URL. */
type Resolved = { url: string | null; shortCircuit?: boolean };
/** A message lists at most this many names of a module. */
const SHOWN = 12;
type Context = { readonly parentURL?: string; readonly conditions?: readonly string[] };
type Next = (specifier: string, context: unknown) => Resolved;

/** Answers for names in `packages`; the proxy has left out what the notebook's folder answers for itself. */
export function registerPackages(packages: Readonly<Record<string, string>>): void {
  // Node has it since version 23; the type declarations here may be older.
  const register: unknown = Reflect.get(module, "registerHooks");
  if (typeof register !== "function") return;
  const builtins = new Builtins();
  const editions = new Editions(pathToFileURL(`${Deno.cwd()}/`).href);
  register({
    resolve: (specifier: string, context: Context, next: Next): Resolved => {
      if (Object.hasOwn(packages, specifier)) return { url: packages[specifier], shortCircuit: true };
      const resolved = next(specifier, context);
      refuseUnknown(specifier, resolved.url);
      if (resolved.url === null) return resolved;
      const { parentURL, conditions } = context;
      const address = conditions?.includes("import")
        ? builtins.current(resolved.url, parentURL)
        : resolved.url;
      const url = editions.current(address, parentURL);
      return url === resolved.url ? resolved : { ...resolved, url, shortCircuit: true };
    },
  });
}

/** Says what the runtime would say, if it were not for the hook. */
function refuseUnknown(specifier: string, url: string | null): void {
  if (url === null) {
    throw refusal(
      `Import "${specifier}" is no path, and neither the import map nor package.json has it; a package of npm is "npm:${specifier}", one of JSR "jsr:@scope/name"`,
    );
  }
  if (url.startsWith("node:") && !module.isBuiltin(url)) throw refusal(`No such built-in module: ${url}`);
}

/** The runtime puts the name of its own error before it. */
function refusal(text: string): Error {
  const error = new TypeError(text);
  error.name = "";
  return error;
}

/**
 * A warning of names that a module does not export; null where it has them all. A name may be one of a type, which is
 * gone when code runs. Throws where it is no type: of a default export.
 */
export function missingNames(module: object, specifier: string, names: readonly string[]): string | null {
  const missing = names.filter((name) => !(name in module));
  if (missing.length === 0) return null;
  if (missing.includes("default")) {
    const others = Object.keys(module).slice(0, SHOWN).join(", ");
    throw new SyntaxError(
      `"${specifier}" has no default export${others === "" ? "" : `; it exports ${others}`}`,
    );
  }
  return `"${specifier}" exports no value named ${missing.join(", ")}; a type is imported by "import type"\n`;
}

/** The `import.meta` of cells, as if the cell were a module in the folder of the notebook. */
export function metaOf(): Readonly<Record<string, unknown>> {
  const folder = new URL(
    `file://${Deno.build.os === "windows" ? "/" : ""}${Deno.cwd().replaceAll("\\", "/")}/`,
  );
  const url = new URL("cell.ts", folder).href;
  return Object.freeze({
    url,
    main: false,
    dirname: Deno.cwd(),
    filename: `${Deno.cwd()}/cell.ts`,
    resolve: (specifier: string) => new URL(specifier, url).href,
  });
}
