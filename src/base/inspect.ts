/**
 * The names of the methods by which an object shows itself on a terminal.
 *
 * Invariant: the symbols are registered ones, so that an object depends on no runtime.
 */

/** A method of this name gives the text that `console.log` and `Deno.inspect` show. */
export const INSPECT: unique symbol = Symbol.for("Deno.customInspect");

/** A method of this name gives the text that Node's `console.log` and `util.inspect` show. */
export const NODE_INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");
