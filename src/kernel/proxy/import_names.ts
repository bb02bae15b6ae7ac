/**
 * The names that an import may begin with, of which the language server knows some alone: those of `package.json`, of
 * `deno.json` and of the kernel's own packages.
 *
 * Invariant: they are those of the nearest files above the notebook, as they are now.
 */

import { literalAt } from "../cell/literals.ts";

/** The parts of `package.json` that name packages. */
const DEPENDENCIES = ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"];
const BEFORE_NAME = /(\bfrom|\bimport|\b(import|require)\s*\()\s*$/;

/** Whether what is being written at a place names a module. */
export function isImport(code: string, place: number): boolean {
  const literal = literalAt(code, place);
  return literal?.kind === "text" && BEFORE_NAME.test(code.slice(0, literal.start));
}

/** The names for a notebook's folder; `packages` are found beside them. */
export async function importNames(
  folder: string,
  packages: Readonly<Record<string, string>>,
): Promise<string[]> {
  const [node, deno] = await Promise.all([
    nearest(folder, ["package.json"]),
    nearest(folder, ["deno.json", "deno.jsonc"]),
  ]);
  const names = [
    ...DEPENDENCIES.flatMap((part) => keysOf(node, part)),
    ...keysOf(deno, "imports"),
    ...Object.keys(packages),
  ];
  return [...new Set(names)].toSorted();
}

async function nearest(folder: string, names: readonly string[]): Promise<unknown> {
  const parts = folder.split(/[/\\]/);
  for (let depth = parts.length; depth > 0; depth--) {
    for (const name of names) {
      const text = await Deno.readTextFile(`${parts.slice(0, depth).join("/")}/${name}`).catch(() => null);
      if (text !== null) return parsed(text);
    }
  }
  return null;
}

/** Null for what is no JSON, as a file that is just being written, or one with comments. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function keysOf(file: unknown, part: string): string[] {
  const value: unknown = typeof file === "object" && file !== null ? Reflect.get(file, part) : null;
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}
