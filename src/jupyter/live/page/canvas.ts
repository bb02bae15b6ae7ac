/**
 * What drawings on canvases have in common: sizes in CSS pixels, texts that fit, lines, circles, whiskers and round numbers.
 */

/** The letters of charts. */
export const FONT = '11px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';

/** A canvas drawn on in CSS pixels, however many the screen has for each. */
export function prepareCanvas(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D {
  const density = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this page has no canvas to draw on");
  context.scale(density, density);
  return context;
}

/** A text that fits: its beginning, and dots where something is missing. */
export function fitted(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  const letters = [...text];
  while (letters.length > 0 && context.measureText(`${letters.join("")}…`).width > width) letters.pop();
  return `${letters.join("")}…`;
}

/** A place on a canvas. */
export type Point = readonly [x: number, y: number];

/** Draws a straight line in the colour that is set. */
export function line(context: CanvasRenderingContext2D, from: Point, to: Point): void {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

/** Makes a circle the path that is filled or stroked next. */
export function circle(context: CanvasRenderingContext2D, [x, y]: Point, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

/** Draws an exact answer as a dot and the stale one as a ring. */
export function ringAndDot(
  context: CanvasRenderingContext2D,
  { exact, stale, radius, colors }: {
    readonly exact: Point;
    readonly stale: Point;
    /** The radii of the ring and of the dot in it. */
    readonly radius: readonly [ring: number, dot: number];
    readonly colors: { readonly exact: string; readonly stale: string };
  },
): void {
  context.strokeStyle = colors.stale;
  circle(context, stale, radius[0]);
  context.stroke();
  context.fillStyle = colors.exact;
  circle(context, exact, radius[1]);
  context.fill();
}

/** The least of 1, 2 and 5 times a power of ten that is at least `number`. */
export function roundUp(number: number): number {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map((times) => times * power).find((size) => size >= number) ?? number;
}
