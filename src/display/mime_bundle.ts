/**
 * How an object shows itself: in a notebook by media types, on a terminal by text.
 *
 * Invariant: the symbols are registered ones, so that neither this library nor an object of it depends on a notebook.
 */

/** A method of this name gives the {@link MimeBundle} that a Deno notebook shows. */
export const DISPLAY: unique symbol = Symbol.for("Jupyter.display");

/** A method of this name gives what `console.log` and `Deno.inspect` show. */
export const INSPECT: unique symbol = Symbol.for("Deno.customInspect");

/** The same content in several media types, of which a front end takes the best that it knows; PNG in base64. */
export interface MimeBundle {
  /** Always there, for terminals and for those who read with their ears. */
  readonly "text/plain": string;
  /** Content by media type. */
  readonly [mediaType: string]: string | object;
}

/** What `Deno.inspect` tells a method of the name {@link INSPECT}, as far as it matters here. */
export interface InspectOptions {
  /** How many entries of a list are shown. */
  readonly iterableLimit?: number;
}
