/**
 * Elements from values. Texts become text nodes, never markup.
 */

/** What an element may be given: attributes, and listeners by the names of their events. */
export interface Attributes {
  readonly [name: string]: string | number | boolean | ((event: Event) => void);
}

/** Makes an element. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(attribute, value);
    else if (typeof value === "boolean") made.toggleAttribute(attribute, value);
    else made.setAttribute(attribute, String(value));
  }
  made.append(...children);
  return made;
}

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

/** A number for readers: four digits, without an exponent where it is readable without. */
export function readable(number: number): string {
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  if (Number.isInteger(number) && size < 1e15) return number.toLocaleString("en").replace("-", "−");
  const text = size >= 1e-3 && size < 1e5 ? number.toPrecision(4) : number.toExponential(2);
  return text.replaceAll("-", "−");
}
