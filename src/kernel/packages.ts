/**
 * The entry points of this package, so that notebooks find them by name wherever they are.
 *
 * Invariant: the list is what `deno.json` exports; a test compares.
 */

const ROOT = new URL("../../", import.meta.url);

/** Names behind the package's own → the modules. */
export const ENTRY_POINTS: Readonly<Record<string, string>> = {
  "": "mod.ts",
  "/kernel": "src/kernel/main.ts",
  "/store": "src/store/mod.ts",
  "/widgets": "src/jupyter/widgets/mod.ts",
};

/** Specifiers → addresses. */
export function packageAddresses(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(ENTRY_POINTS).map((
      [name, path],
    ) => [`@attune/attention${name}`, new URL(path, ROOT).href]),
  );
}
