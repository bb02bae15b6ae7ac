// What the measure of the tree counts, on sources that are known.

import { functionsOf } from "../../tools/tree/long_functions.ts";
import { assertEquals } from "../../testing/assert.ts";

Deno.test("tree: functions of every form are found, with name, place, lines and parameters", () => {
  const source = `export function first(a: number, b = 1, ...rest: string[]) {
  return () => a;
}
const second = async <T>(value: T) => {
  await value;
};
class Third {
  #inner(): void {
  }
  get size(): number { return 1; }
}
export const fourth = { method(a, b) { return function named() {}; } };
`;
  assertEquals(functionsOf(source), [
    { name: "first", line: 1, lines: 3, parameters: 3 },
    { name: "", line: 2, lines: 1, parameters: 0 },
    { name: "second", line: 4, lines: 3, parameters: 1 },
    { name: "#inner", line: 8, lines: 2, parameters: 0 },
    { name: "size", line: 10, lines: 1, parameters: 0 },
    { name: "method", line: 12, lines: 1, parameters: 2 },
    { name: "named", line: 12, lines: 1, parameters: 0 },
  ]);
});
