/**
 * Makes packages found that no import map names, in cells and in the modules that they import.
 *
 * Invariant: what the notebook's folder says of a name goes first.
 */

import module from "node:module";

type Resolved = { url: string; shortCircuit?: boolean };
type Resolve = (
  specifier: string,
  context: unknown,
  next: (specifier: string, context: unknown) => Resolved,
) => Resolved;

/** Looks names up in `packages` when nobody else knows them. */
export function registerPackages(packages: Readonly<Record<string, string>>): void {
  // Declared in Node since 23; the declarations here may be older.
  const register: unknown = Reflect.get(module, "registerHooks");
  if (typeof register !== "function") return;
  const resolve: Resolve = (specifier, context, next) => {
    const url = Object.hasOwn(packages, specifier) ? packages[specifier] : undefined;
    if (url === undefined) return next(specifier, context);
    try {
      return next(specifier, context);
    } catch {
      return { url, shortCircuit: true };
    }
  };
  register({ resolve });
}
