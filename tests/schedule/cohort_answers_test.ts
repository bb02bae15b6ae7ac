// Answers of cohorts come to where their rows were asked for.

import fc from "fast-check";
import { assertEquals } from "../../testing/assert.ts";
import { CohortAnswers } from "../../src/schedule/cohort_answers.ts";

Deno.test("answers of cohorts are put in the order of the question, also where a row was asked for twice", () => {
  const answers = new CohortAnswers(Uint32Array.of(7, 2, 7, 9));
  const target = new Float64Array(4).fill(-1);
  answers.place(target, Uint32Array.of(9, 2), Float64Array.of(90, 20));
  assertEquals([...target], [-1, 20, -1, 90], "the other cohort has not answered yet");
  answers.place(target, Uint32Array.of(7), Float64Array.of(70));
  assertEquals([...target], [70, 20, 70, 90]);
});

Deno.test("rows in ascending order find their places in cohorts of any order", () => {
  const answers = new CohortAnswers(Uint32Array.of(2, 5, 7, 9)), target = new Float64Array(4);
  answers.place(target, Uint32Array.of(9, 2, 5), Float64Array.of(90, 20, 50));
  answers.place(target, Uint32Array.of(7), Float64Array.of(70));
  assertEquals([...target], [20, 50, 70, 90]);
});

Deno.test("no rows have no answers", () => {
  const target = new Float64Array(0);
  new CohortAnswers(new Uint32Array(0)).place(target, new Uint32Array(0), new Float64Array(0));
  assertEquals(target.length, 0);
});

Deno.test("however rows are sorted into cohorts, each gets its own answer", () => {
  // Repeated rows, rows in order, and cohorts that interleave.
  const row = fc.nat({ max: 9 });
  const cohortOf = fc.array(fc.nat({ max: 2 }), { minLength: 10, maxLength: 10 });
  fc.assert(
    fc.property(fc.array(row), cohortOf, fc.boolean(), fc.boolean(), (given, cohortOf, sorts, turns) => {
      const rows = sorts ? [...new Set(given)].sort((a, b) => a - b) : given;
      const answers = new CohortAnswers(Uint32Array.from(rows));
      const target = new Float64Array(rows.length).fill(NaN);
      for (let cohort = 0; cohort < 3; cohort++) {
        const members = [...new Set(rows)].filter((row) => cohortOf[row] === cohort);
        if (turns) members.reverse();
        answers.place(target, Uint32Array.from(members), Float64Array.from(members, (row) => 10 * row));
      }
      assertEquals([...target], rows.map((row) => 10 * row));
    }),
  );
});
