/**
 * Makes packages found that no import map names, and modules of the notebook's folder that were edited loaded anew, in cells
 * and in the modules that they import.
 */

import module from "node:module";
import { pathToFileURL } from "node:url";
import { Editions } from "./editions.ts";
import { Deno, Object, Reflect } from "../natives.ts";

type Resolved = { url: string; shortCircuit?: boolean };
type Context = { readonly parentURL?: string };
type Next = (specifier: string, context: unknown) => Resolved;

/** Answers for names in `packages`; the proxy has left out what the notebook's folder answers for itself. */
export function registerPackages(packages: Readonly<Record<string, string>>): void {
  // Declared in Node since 23; the declarations here may be older.
  const register: unknown = Reflect.get(module, "registerHooks");
  if (typeof register !== "function") return;
  const editions = new Editions(pathToFileURL(`${Deno.cwd()}/`).href);
  register({
    resolve: (specifier: string, context: Context, next: Next): Resolved => {
      if (Object.hasOwn(packages, specifier)) return { url: packages[specifier], shortCircuit: true };
      const resolved = next(specifier, context);
      const url = editions.current(resolved.url, context.parentURL);
      return url === resolved.url ? resolved : { ...resolved, url, shortCircuit: true };
    },
  });
}
