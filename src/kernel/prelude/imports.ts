/**
 * Makes packages found that no import map names, in cells and in the modules that they import.
 */

import module from "node:module";

type Resolved = { url: string; shortCircuit?: boolean };
type Next = (specifier: string, context: unknown) => Resolved;

/** Answers for names in `packages`; the proxy has left out what the notebook's folder answers for itself. */
export function registerPackages(packages: Readonly<Record<string, string>>): void {
  // Declared in Node since 23; the declarations here may be older.
  const register: unknown = Reflect.get(module, "registerHooks");
  if (typeof register !== "function") return;
  register({
    resolve: (specifier: string, context: unknown, next: Next): Resolved =>
      Object.hasOwn(packages, specifier)
        ? { url: packages[specifier], shortCircuit: true }
        : next(specifier, context),
  });
}
