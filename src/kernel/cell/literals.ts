/**
 * Whether a place in a cell is within a text or a comment, where names mean nothing.
 *
 * Invariant: code that is not finished is read as far as it goes; what is within `${…}` of a template is code.
 */

/** The text or comment around a place. */
export interface Literal {
  readonly kind: "comment" | "text" | "pattern";
  /** Where it begins, with its mark. */
  readonly start: number;
}

/** After these a slash begins a pattern and divides nothing. */
const BEFORE_PATTERN = /(^|[(,=:[!&|?{};+\-*%<>~^]|\b(return|typeof|case|in|of|await|void|yield))\s*$/;

/** What a place is within; null where that is code. */
export function literalAt(code: string, place: number): Literal | null {
  /** Brackets that are open in each `${`, the innermost last. */
  const templates: number[] = [];
  for (let at = 0; at < place;) {
    const letter = code[at], start = at, next = code[at + 1];
    let end: number, kind: Literal["kind"] = "text";
    if (letter === "/" && (next === "/" || next === "*")) {
      kind = "comment";
      end = endOf(code, at + 2, next === "/" ? /\n/g : /\*\//g);
    } else if (letter === '"' || letter === "'") {
      end = endOf(code, at + 1, letter === '"' ? /\\[^]|["\n]/g : /\\[^]|['\n]/g);
    } else if (letter === "`" || letter === "}" && templates.at(-1) === 0) {
      if (letter === "}") templates.pop();
      end = endOf(code, at + 1, /\\[^]|`|\$\{/g);
      if (code[end - 1] === "{" && end <= place) templates.push(0);
    } else if (letter === "/" && BEFORE_PATTERN.test(code.slice(Math.max(0, at - 40), at))) {
      kind = "pattern";
      end = endOf(code, at + 1, /\\[^]|\[(?:\\.|[^\]\n])*\]|[/\n]/g);
    } else {
      if (templates.length > 0 && letter === "{") templates[templates.length - 1]++;
      if (templates.length > 0 && letter === "}") templates[templates.length - 1]--;
      at++;
      continue;
    }
    if (end > place || end === place && !isClosed(code, start, end)) return { kind, start };
    at = end;
  }
  return null;
}

/** Behind the first match that ends a literal; behind the code where none does. */
function endOf(code: string, from: number, pattern: RegExp): number {
  pattern.lastIndex = from;
  for (let match = pattern.exec(code); match; match = pattern.exec(code)) {
    if (!match[0].startsWith("\\") && !(match[0].startsWith("[") && match[0].length > 1)) {
      return pattern.lastIndex;
    }
  }
  return code.length + 1;
}

/** Whether what stands there has its end: a place directly behind that is outside. */
function isClosed(code: string, start: number, end: number): boolean {
  return end - start > 1 && end <= code.length;
}
