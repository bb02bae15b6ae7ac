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

/** A number for readers: four digits, without an exponent where it is readable without. */
export function readable(number: number): string {
  if (number === 0) return "0";
  const size = Math.abs(number);
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  if (Number.isInteger(number) && size < 1e15) return number.toLocaleString("en").replace("-", "−");
  const text = size >= 1e-3 && size < 1e5 ? number.toPrecision(4) : number.toExponential(2);
  return text.replaceAll("-", "−");
}
