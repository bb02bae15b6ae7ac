/**
 * What stands at the cursor of a cell. Front ends count in code points, JavaScript in units of 16 bits.
 */

/** The place in a text of a cursor that is given in code points. */
export function toUnits(code: string, points: number): number {
  let units = 0;
  for (const letter of code) {
    if (points-- <= 0) break;
    units += letter.length;
  }
  return units;
}

/** A place in a text as a number of code points. */
export function toPoints(code: string, units: number): number {
  return [...code.slice(0, units)].length;
}

/** A name to be completed. */
export interface Completion {
  /** What is before the last dot; null where there is none. */
  readonly object: string | null;
  /** What has been written of the name. */
  readonly prefix: string;
}

/** What is being written at a place. */
export function completionAt(code: string, place: number): Completion {
  const [chain] = /[\p{ID_Continue}$.?]*$/u.exec(code.slice(0, place)) ?? [""];
  const dot = chain.lastIndexOf(".");
  if (dot === -1) return { object: null, prefix: chain };
  return { object: chain.slice(0, dot).replace(/\?$/, ""), prefix: chain.slice(dot + 1) };
}

/** The names, joined by dots, that stand at a place, or that are called with the brackets around it; "" for none. */
export function expressionAt(code: string, place: number): string {
  const [before] = /[\p{ID_Continue}$.]*$/u.exec(code.slice(0, place)) ?? [""];
  const [after] = /^[\p{ID_Continue}$]*/u.exec(code.slice(place)) ?? [""];
  const found = (before + after).replace(/^\.+|\.+$/g, "");
  if (found !== "" && !/^\d/.test(found)) return found;
  let depth = 0;
  for (let at = place - before.length - 1; at >= 0; at--) {
    if (code[at] === ")") depth++;
    if (code[at] === "(" && --depth < 0) {
      const [called] = /[\p{ID_Continue}$.]+$/u.exec(code.slice(0, at)) ?? [""];
      return called.replace(/^\.+/, "");
    }
  }
  return "";
}
