/**
 * The protocols by which an object defines its display, in a notebook by media types and on a terminal by
 * text.
 *
 * Invariant: the symbols are registered ones, so that neither this library nor an object of it depends on a
 * notebook.
 */

/** A method of this name gives the {@link MimeBundle} that a Deno notebook shows. */
export const DISPLAY: unique symbol = Symbol.for("Jupyter.display");

export { INSPECT, NODE_INSPECT } from "../base/inspect.ts";

/**
 * The same content in several media types, of which a front end shows the richest that it supports; PNG in
 * base64.
 */
export interface MimeBundle {
  /** Plain text, which is always there, for terminals and screen readers. */
  readonly "text/plain": string;
  /** Content by media type. */
  readonly [mediaType: string]: string | object;
}

/**
 * The options that `Deno.inspect` passes to a method of the name {@link INSPECT}, as far as they are used
 * here.
 */
export interface InspectOptions {
  /** The number of entries of a list that are shown. */
  readonly iterableLimit?: number;
}
