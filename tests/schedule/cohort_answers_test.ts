// Answers of cohorts come to where their rows were asked for.

import fc from "fast-check";
import { assertEquals } from "../../testing/assert.ts";
import { CohortAnswers } from "../../src/schedule/cohort_answers.ts";

Deno.test("answers of cohorts are put in the order of the question, also where a row was asked for twice", () => {
  const answers = new CohortAnswers(Uint32Array.of(7, 2, 7, 9));
  const target = new Float32Array(8).fill(-1);
  answers.place(target, Uint32Array.of(9, 2), Float32Array.of(90, 91, 20, 21), 2);
  assertEquals([...target], [-1, -1, 20, 21, -1, -1, 90, 91], "the other cohort has not answered yet");
  answers.place(target, Uint32Array.of(7), Float32Array.of(70, 71), 2);
  assertEquals([...target], [70, 71, 20, 21, 70, 71, 90, 91]);
  // One order serves several kinds of answers.
  const bounds = new Float64Array(4);
  answers.place(bounds, Uint32Array.of(2, 7, 9), Float64Array.of(0.2, 0.7, 0.9), 1);
  assertEquals([...bounds], [0.7, 0.2, 0.7, 0.9]);
});

Deno.test("no rows have no answers", () => {
  const target = new Float32Array(0);
  new CohortAnswers(new Uint32Array(0)).place(target, new Uint32Array(0), new Float32Array(0), 3);
  assertEquals(target.length, 0);
});

Deno.test("however rows are sorted into cohorts, each gets its own answer", () => {
  // Repeated rows, and cohorts that interleave.
  const row = fc.nat({ max: 9 });
  const cohortOf = fc.array(fc.nat({ max: 2 }), { minLength: 10, maxLength: 10 });
  fc.assert(fc.property(fc.array(row), cohortOf, fc.integer({ min: 1, max: 3 }), (rows, cohortOf, width) => {
    const answerOf = (row: number) => Array.from({ length: width }, (_, column) => 10 * row + column);
    const answers = new CohortAnswers(Uint32Array.from(rows));
    const target = new Float64Array(rows.length * width).fill(NaN);
    for (let cohort = 0; cohort < 3; cohort++) {
      const members = [...new Set(rows)].filter((row) => cohortOf[row] === cohort).reverse();
      answers.place(target, Uint32Array.from(members), Float64Array.from(members.flatMap(answerOf)), width);
    }
    assertEquals([...target], rows.flatMap(answerOf));
  }));
});
