/**
 * Figures as plain plotly data.
 *
 * Invariant: whatever is under a name that ends in "color" may be the name of a colour with a dollar sign before it,
 * `$blue`; whoever draws puts the colour of light or dark surroundings in its place (`paint.ts`). Text never is.
 */

/** A value that JSON can hold. */
export type PlainValue = null | boolean | number | string | readonly PlainValue[] | PlainObject;

/** An object that JSON can hold. */
export interface PlainObject {
  /** Values by name. */
  readonly [name: string]: PlainValue;
}

/** Traces and layout, as plotly.js takes them. */
export interface FigureData {
  /** The traces. */
  readonly data: readonly PlainObject[];
  /** The layout. */
  readonly layout: PlainObject;
  /** What of the layout is different on a narrow screen, by the path of each attribute; nothing unless given. */
  readonly narrow?: PlainObject;
}
