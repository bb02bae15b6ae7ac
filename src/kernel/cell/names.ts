/**
 * The names of a cell: those that it imports, and from where, and those that it declares, with the comment above each.
 */

import type { ParsedCell, SyntaxNode } from "./parser.ts";
import { isNode, walk } from "./parser.ts";

/** Where a name was imported from. */
export interface ImportedName {
  readonly specifier: string;
  /** Its name there: "default", "*", or what it is exported as. */
  readonly name: string;
}

/** The names of a cell. */
export interface CellNames {
  readonly imported: ReadonlyMap<string, ImportedName>;
  /** The comment `/** … *\/` above a declaration, without its stars. */
  readonly documented: ReadonlyMap<string, string>;
}

/** Finds the names that a cell adds to the notebook. */
export function namesOf({ statements }: ParsedCell): CellNames {
  const imported = new Map<string, ImportedName>(), documented = new Map<string, string>();
  for (const statement of statements) {
    if (statement.type === "ImportDeclaration") addImports(statement, imported);
    else addDynamicImport(statement, imported);
    const comment = commentAbove(statement);
    for (const name of comment === null ? [] : declaredBy(statement)) documented.set(name, comment as string);
  }
  return { imported, documented };
}

/** The names that a cell brings, imported ones and those in patterns too. */
export function declaredNames(cell: ParsedCell): string[] {
  const names = [...namesOf(cell).imported.keys()];
  for (const statement of cell.statements) {
    const declaration = isNode(statement.declaration) ? statement.declaration : statement;
    const own = nameOf(declaration.id);
    if (own !== null) names.push(own);
    const listed = Array.isArray(declaration.declarations) ? declaration.declarations.filter(isNode) : [];
    for (const { id } of listed) if (isNode(id)) names.push(...namesIn(id));
  }
  return [...new Set(names)];
}

/** How and where a name is declared. */
export interface Declaration {
  /** The word that declares it: "const", "let", "function", "import" and so on. */
  readonly word: string;
  /** Where the name stands, as a place in the code. */
  readonly at: number;
}

/** The names that the statements of a cell declare for the notebook: name → how, and where. */
export function declarationsOf({ statements, shift }: ParsedCell): ReadonlyMap<string, Declaration> {
  const found = new Map<string, Declaration>();
  const add = (name: unknown, word: string) => {
    if (!isNode(name)) return;
    for (const { name: text, start } of identifiersIn(name)) {
      found.set(String(text), { word, at: start - shift });
    }
  };
  for (const statement of statements) {
    const declaration = isNode(statement.declaration) ? statement.declaration : statement;
    const { type, id, kind, declare } = declaration;
    const specifiers = Array.isArray(statement.specifiers) ? statement.specifiers.filter(isNode) : [];
    if (type === "ImportDeclaration" && statement.importKind !== "type") {
      for (const item of specifiers) if (item.importKind !== "type") add(item.local, "import");
    }
    if (type === "VariableDeclaration" && declare !== true && Array.isArray(declaration.declarations)) {
      for (const item of declaration.declarations.filter(isNode)) add(item.id, String(kind));
    }
    const word = WORDS[type];
    if (word !== undefined && declare !== true) add(id, word);
  }
  return found;
}

const WORDS: Readonly<Record<string, string>> = {
  ClassDeclaration: "class",
  FunctionDeclaration: "function",
  TSEnumDeclaration: "enum",
  TSModuleDeclaration: "namespace",
};

/** The names that a pattern binds: no keys, and no types. */
function namesIn(pattern: SyntaxNode): string[] {
  return identifiersIn(pattern).map(({ name }) => String(name));
}

function identifiersIn(pattern: SyntaxNode): SyntaxNode[] {
  if (pattern.type === "Identifier") return [pattern];
  const keys = new Set<unknown>();
  for (const node of walk([pattern])) {
    if (node.type === "ObjectProperty" && node.key !== node.value) keys.add(node.key);
    if (isNode(node.typeAnnotation)) { for (const inner of walk([node.typeAnnotation])) keys.add(inner); }
    if (node.type === "AssignmentPattern" && isNode(node.right)) {
      for (const inner of walk([node.right])) keys.add(inner);
    }
  }
  return [...walk([pattern])].filter((node) => node.type === "Identifier" && !keys.has(node));
}

function addImports(statement: SyntaxNode, imported: Map<string, ImportedName>): void {
  const specifier = textOf(statement.source);
  if (specifier === null || !Array.isArray(statement.specifiers)) return;
  for (const item of statement.specifiers.filter(isNode)) {
    const local = nameOf(item.local);
    if (local === null) continue;
    const name = item.type === "ImportNamespaceSpecifier"
      ? "*"
      : item.type === "ImportDefaultSpecifier"
      ? "default"
      : nameOf(item.imported) ?? textOf(item.imported) ?? local;
    imported.set(local, { specifier, name });
  }
}

/** `const { a, b: c } = await import("…")` and `const all = await import("…")`. */
function addDynamicImport(statement: SyntaxNode, imported: Map<string, ImportedName>): void {
  if (statement.type !== "VariableDeclaration" || !Array.isArray(statement.declarations)) return;
  for (const { id, init } of statement.declarations.filter(isNode)) {
    const call = isNode(init) && init.type === "AwaitExpression" ? init.argument : null;
    if (!isNode(call) || !isNode(call.callee) || call.callee.type !== "Import" || !isNode(id)) continue;
    const specifier = Array.isArray(call.arguments) ? textOf(call.arguments[0]) : null;
    if (specifier === null) continue;
    if (id.type === "Identifier") imported.set(String(id.name), { specifier, name: "*" });
    for (const property of Array.isArray(id.properties) ? id.properties.filter(isNode) : []) {
      const name = nameOf(property.key), local = nameOf(property.value);
      if (name !== null && local !== null) imported.set(local, { specifier, name });
    }
  }
}

function declaredBy(statement: SyntaxNode): string[] {
  const declaration = isNode(statement.declaration) ? statement.declaration : statement;
  const own = nameOf(declaration.id);
  const listed = Array.isArray(declaration.declarations) ? declaration.declarations.filter(isNode) : [];
  return [own, ...listed.map(({ id }) => nameOf(id))].filter((name) => name !== null);
}

function commentAbove(statement: SyntaxNode): string | null {
  const comments: unknown = statement.leadingComments;
  const last: unknown = Array.isArray(comments) ? comments.at(-1) : null;
  if (!isNode(last) || last.type !== "CommentBlock" || !String(last.value).startsWith("*")) return null;
  return String(last.value).slice(1).split("\n").map((line) => line.replace(/^\s*\* ?/, "")).join("\n")
    .trim();
}

function nameOf(node: unknown): string | null {
  return isNode(node) && node.type === "Identifier" ? String(node.name) : null;
}

function textOf(node: unknown): string | null {
  return isNode(node) && node.type === "StringLiteral" ? String(node.value) : null;
}
