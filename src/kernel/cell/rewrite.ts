/**
 * Makes a cell one that the kernel knows all about: every `await` in it waits by way of the kernel, which can make it
 * throw, its last value and its errors are handed over as they are, and its frames in stack traces have a name.
 *
 * Invariant: values and meaning are what they were, every inserted text is in the list of insertions, and a cell that
 * cannot be read is left as it is, so that the kernel itself says what is wrong with it.
 */

import { BRIDGE_NAME as BRIDGE } from "../prelude/bridge.ts";
import { findRepeatedAwaits } from "./awaits.ts";
import { importText } from "./imports.ts";
import { findLoops, type Loop } from "./loops.ts";
import type { ParsedCell, SyntaxNode } from "./parser.ts";
import { isNode, walk, walkOwn } from "./parser.ts";

// A function may be sent to a worker as text, where there is no such part.
const IS_ALONE = `typeof ${BRIDGE}==="undefined"`;
const AWAITING = `(${IS_ALONE}?v=>v:${BRIDGE}.awaiting)(`;
const ITERATING = `(${IS_ALONE}?v=>v:${BRIDGE}.iterating)(`;
const LOOPING =
  `await (${IS_ALONE}?w=>w({begin:v=>v,end:v=>v,over:v=>v,finish(){}}):${BRIDGE}.looping)(async(`;
/** By this name a function knows who awaits for it: the kernel, or itself where it is alone. */
const WAITS = "__attune_waits__";
const DECLARE_WAITS =
  `const ${WAITS}=${IS_ALONE}?{begin:v=>v,end(v){return this.v=v,true},out(){return this.v},rest(){}}:${BRIDGE};`;
/** The kernel counts for so many places whether awaits there find what they wait for. */
const PLACES = 256;
/** What a statement throws is told with the place of the statement, for errors that know none of their own. */
const CATCH = (at: number) => `}catch(error){throw ${BRIDGE}.failed(error,${at})}`;

/** A text that was put into a cell, in place of `removed` letters of it. */
export interface Insertion {
  /** Where, in what was written. */
  readonly at: number;
  readonly text: string;
  readonly removed: number;
}

/** A cell as it runs. */
export interface RewrittenCell {
  readonly code: string;
  /** In the order of their places. */
  readonly insertions: readonly Insertion[];
}

/** Insertions at one place come by their order: first all that end something, then all that begin something. */
interface Planned extends Insertion {
  readonly order: number;
}

const CALL_END = -4, LOOP_END = -3, VALUE_END = -2, STATEMENT_END = -1;
/** Behind all that ends something. */
const NOTHING = -0.5;
const ENTER = 0, STATEMENT = 1, VALUE = 2, LOOP = 3, CALL = 4, CELL_END = 5;

/** By this name stack traces know a cell. */
export function nameOfCell(number: number): string {
  return `attune-cell-${number}`;
}

/** The code to run for a cell. */
export function rewriteCell(code: string, cell: ParsedCell, number: number): RewrittenCell {
  const { statements, shift, isObject } = cell;
  const plan = new Plan(shift);
  // The line that names the interpreter of a script is allowed at the very beginning alone, where the kernel's own code is.
  if (code.startsWith("#!")) plan.change(0, 2, "//");
  if (statements.length === 0) return plan.apply(code);
  const own = new Set(walkOwn(statements)), loops = findLoops(statements);
  const names = planLoops(plan, new Set(loops.values()), own);
  const repeated = findRepeatedAwaits(statements);
  const holders = new Set([...repeated].filter(([node]) => !loops.has(node)).map(([, holder]) => holder));
  let places = 37 * number;
  for (const node of walk(statements)) {
    const top = own.has(node) ? ",1" : "";
    if (holders.has(node)) planFunction(plan, node);
    if (node.type === "AwaitExpression" && isNode(node.argument)) {
      const loop = loops.get(node), name = loop && names.get(loop), holder = repeated.get(node);
      if (name !== undefined) {
        plan.call(node, `${name}.end(`, "");
        plan.call(node.argument, `${name}.begin(`, "");
      } else if (holder === undefined) plan.call(node.argument, AWAITING, top);
      else {
        const waits = holder === null ? BRIDGE : WAITS;
        plan.call(node, `${waits}.out(${waits}.end(`, `)||await ${waits}.rest()`);
        plan.call(node.argument, `${waits}.begin(`, `,${places++ % PLACES}${top}`);
      }
    }
    if (node.type === "ForOfStatement" && node.await === true && isNode(node.right)) {
      plan.call(node.right, ITERATING, top);
    }
    if (node.type === "MetaProperty" && isNode(node.meta) && node.meta.name === "import") {
      plan.replace(node, `${BRIDGE}.meta`);
    }
  }
  const enter = `${BRIDGE}.enter(${number})`;
  const [first] = statements, last = statements[statements.length - 1];
  if (isObject) {
    plan.insert(shift, `void ${enter};try{${BRIDGE}.value((`, ENTER);
    plan.insert(code.length + shift, `))${CATCH(0)}`, STATEMENT_END);
  } else {
    plan.insert(first.start, `void ${enter};`, ENTER);
    for (const statement of statements) planStatement(plan, code, statement, statement === last);
  }
  plan.insert(code.length + shift, `\n//# sourceURL=${nameOfCell(number)}`, CELL_END);
  return plan.apply(code);
}

/** Makes functions of loops; gives the names by which their awaits know them. */
function planLoops(
  plan: Plan,
  loops: ReadonlySet<Loop>,
  own: ReadonlySet<SyntaxNode>,
): ReadonlyMap<Loop, string> {
  const names = new Map<Loop, string>();
  for (const loop of loops) {
    const { statement: { start, end }, items } = loop, name = `__attune_loop_${names.size}`;
    names.set(loop, name);
    plan.insert(start, `${LOOPING}${name})=>{`, LOOP);
    // Where two end at the same place, the inner one, which was found later, ends first.
    plan.insert(
      end,
      `;${name}.finish()}${own.has(loop.statement) ? ",1" : ""});`,
      LOOP_END - 1 + 1 / names.size,
    );
    if (items) plan.call(items, `${name}.over(`, "");
  }
  return names;
}

/** Declares in a function who awaits for it. */
function planFunction(plan: Plan, node: SyntaxNode): void {
  const { body, end } = node;
  if (!isNode(body)) return;
  if (body.type === "BlockStatement") {
    const directives = Array.isArray(body.directives) ? body.directives.filter(isNode) : [];
    return plan.insert(
      directives.at(-1)?.end ?? body.start + 1,
      `;${DECLARE_WAITS}`.slice(directives.length > 0 ? 0 : 1),
      ENTER,
    );
  }
  // The range of a bracketed body excludes the brackets.
  const start: unknown = typeof body.extra === "object" && body.extra !== null
    ? Reflect.get(body.extra, "parenStart")
    : null;
  plan.insert(typeof start === "number" ? start : body.start, `{${DECLARE_WAITS}return(`, ENTER);
  plan.end(end, ")}");
}

/** The value of such a statement is that of whatever ran last within it, which nobody has asked for. */
const VALUELESS = /^(For|While|DoWhile|Empty|ExportAll)/;
const DECLARATIONS = /^(Function|Class|TS|Enum|Import|Export|Empty|Interface)|^VariableDeclaration$/;

function planStatement(plan: Plan, code: string, statement: SyntaxNode, isLast: boolean): void {
  if (statement.type === "ImportDeclaration") {
    const { start, end } = statement;
    const text = importText(statement, code.slice(start, end), start - plan.shift);
    if (text !== null) plan.replace(statement, text);
    return;
  }
  const declaration = isNode(statement.declaration) ? statement.declaration : statement;
  const endsInSemicolon = code[statement.end - 1 - plan.shift] === ";";
  const isValueless = VALUELESS.test(statement.type) ||
    endsInSemicolon && !isExpression(statement) && !DECLARATIONS.test(statement.type);
  if (isLast && isValueless) plan.insert(statement.end, ";void 0;", NOTHING);
  if (declaration.type === "VariableDeclaration") return planDeclaration(plan, code, statement, declaration);
  if (declaration.type === "TSEnumDeclaration") return planEnum(plan, code, declaration);
  if (DECLARATIONS.test(statement.type)) return;
  const { expression } = statement;
  if (isLast && isExpression(statement) && isNode(expression)) {
    const { start, end } = expression;
    plan.insert(start, `${BRIDGE}.${endsInSemicolon ? "hidden" : "value"}((`, VALUE);
    plan.insert(end, "))", VALUE_END);
  }
  plan.insert(statement.start, "try{", STATEMENT);
  plan.insert(statement.end, CATCH(statement.start - plan.shift), STATEMENT_END);
}

function isExpression({ type }: SyntaxNode): boolean {
  return type === "ExpressionStatement";
}

/** An enum that is a constant would be gone with its cell: later ones would not know its members. */
function planEnum(plan: Plan, code: string, node: SyntaxNode): void {
  if (node.const !== true || node.declare === true) return;
  const start = node.start - plan.shift;
  if (code.startsWith("const", start)) plan.change(start, "const".length, "");
}

/** Guards the values of a declaration, except functions and plain values, whose names come from the declaration. */
function planDeclaration(
  plan: Plan,
  code: string,
  statement: SyntaxNode,
  { declarations, declare }: SyntaxNode,
): void {
  if (declare === true || !Array.isArray(declarations)) return;
  const all = declarations.filter(isNode);
  if (all.length === 1 && planAwaited(plan, code, statement, all[0])) return;
  for (const { init } of all) {
    if (!isNode(init) || !mayThrow(init)) continue;
    const { start, end } = init;
    plan.insert(
      start,
      hasAwait(init) ? `await ${BRIDGE}.guardAsync(async()=>(` : `${BRIDGE}.guard(()=>(`,
      VALUE,
    );
    plan.insert(end, `),${start - plan.shift})`, VALUE_END);
  }
}

/**
 * Puts the declaration of one name behind its value, so that what follows runs in the same turn as the last part of the value:
 * a function around an `await` would leave time for events that nobody listens to yet. Says whether it could.
 */
function planAwaited(
  plan: Plan,
  code: string,
  statement: SyntaxNode,
  { id, init, end }: SyntaxNode,
): boolean {
  if (!isNode(id) || !isNode(init) || id.type !== "Identifier" || !hasAwait(init)) return false;
  const start = statement.start - plan.shift, named = id.end - plan.shift, value = init.start - plan.shift;
  const equals = /^\s*=(?=[\s(]*$)/.exec(code.slice(named, value));
  if (equals === null) return false;
  plan.change(start, named + equals[0].length - start, `try{${BRIDGE}.keep(`, STATEMENT);
  plan.insert(end, `)${CATCH(value)}${code.slice(start, named)}=${BRIDGE}.kept()`, VALUE_END);
  return true;
}

const PLAIN =
  /^(ArrowFunctionExpression|FunctionExpression|ClassExpression|StringLiteral|NumericLiteral|BooleanLiteral|NullLiteral|BigIntLiteral|RegExpLiteral)$/;
const WRAPPERS =
  /^(TSAsExpression|TSSatisfiesExpression|TSNonNullExpression|TSTypeAssertion|ParenthesizedExpression)$/;

function mayThrow(node: SyntaxNode): boolean {
  return WRAPPERS.test(node.type) && isNode(node.expression)
    ? mayThrow(node.expression)
    : !PLAIN.test(node.type);
}

function hasAwait(node: SyntaxNode): boolean {
  for (const { type } of walkOwn([node])) if (type === "AwaitExpression") return true;
  return false;
}

/** The insertions of a cell. Places are those of the parser, `shift` letters behind those of the code. */
class Plan {
  readonly shift: number;
  readonly #planned: Planned[] = [];

  constructor(shift: number) {
    this.shift = shift;
  }

  insert(at: number, text: string, order: number): void {
    this.#planned.push({ at: at - this.shift, text, order, removed: 0 });
  }

  replace(node: SyntaxNode, text: string): void {
    this.#planned.push({ at: node.start - this.shift, text, order: CALL, removed: node.end - node.start });
  }

  /** Puts a text in place of so many letters of the code. */
  change(at: number, removed: number, text: string, order = CALL): void {
    this.#planned.push({ at, text, order, removed });
  }

  /** Puts a call around an expression. */
  call(node: SyntaxNode, call: string, more: string): void {
    // The range of a bracketed expression excludes the brackets; a sequence gets new ones, since its last value is
    // meant.
    const [open, close] = node.type === "SequenceExpression" ? ["(", ")"] : ["", ""];
    this.insert(node.start, call + open, CALL);
    this.end(node.end, `${close}${more})`);
  }

  /** Ends something. Where two end at the same place, the inner one, which was found later, ends first. */
  end(at: number, text: string): void {
    this.insert(at, text, CALL_END - this.#planned.length);
  }

  apply(code: string): RewrittenCell {
    // The sort is stable: of two nodes that begin at one place the outer one was found first.
    const insertions = this.#planned.toSorted((a, b) => a.at - b.at || a.order - b.order);
    let result = "", at = 0;
    for (const insertion of insertions) {
      result += code.slice(at, insertion.at) + insertion.text;
      at = insertion.at + insertion.removed;
    }
    return { code: result + code.slice(at), insertions };
  }
}
