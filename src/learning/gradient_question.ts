/**
 * Asks the engine for derivatives in the order of turns: they are exact as of the call, whatever is edited
 * before the answer comes.
 *
 * There are two ways. With all keys, head rows are scored in float64 from the stored keys and values, with
 * the same bits on every backend. With the heaviest keys only, the backend computes the weights, and only the
 * heaviest keys are touched; the weight of the other keys is reported as left out.
 */

import type { AnyEngine } from "./any_engine.ts";
import {
  answerFromAll,
  answerFromHeaviest,
  type GradientAnswer,
  type GradientQuestion,
} from "./gradient_answers.ts";
import type { GradientRows } from "./gradient_rows.ts";
import { type HeadLayout, keyColumns, queryColumns, valueColumns } from "../numerics/head_layout.ts";
import { EngineCore } from "../engine/engine_core.ts";
import { InputError } from "../base/errors.ts";

/**
 * Computes the answer to a question as of the call. `rows` must be live.
 *
 * @param near An output that takes the place of the exact one; with the heaviest keys of standing queries only.
 * @throws {InputError} When a derivative leaves the range of float64.
 */
export function askGradients(
  operation: string,
  live: AnyEngine,
  question: GradientQuestion,
  near: Promise<Float64Array> | null = null,
): Promise<GradientAnswer> {
  const inside = EngineCore.of(operation, live);
  const { rows } = question;
  const { keySlots, querySlots } = inside.rules;
  const asOfNow = {
    slots: keySlots.liveSlots(),
    keySize: keySlots.size,
    querySize: querySlots.size,
  };
  const standing = rows.kind === "standing" ? rows.slots : NO_ROWS;
  const isSparse = isOfHeaviest(inside.rules, question);
  return inside.ask(operation, standing, async ({ backend, read }) => {
    let largest = 0;
    const watched: GradientQuestion = {
      ...question,
      toOutputGradient(output) {
        const gradient = question.toOutputGradient(output);
        largest = gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
        return gradient;
      },
    };
    const answer = isSparse
      ? await answerFromHeaviest(
        inside.rules,
        backend,
        watched,
        asOfNow,
        near ? await near : Float64Array.from((await read()).output),
      )
      : answerFromAll(operation, inside.rules, backend, watched, asOfNow);
    // The comparison is negated so that it holds for NaN.
    if (!(largest < SAFE_GRADIENT)) checkFinite(operation, answer, rows, inside.rules.layout);
    return answer;
  });
}

/** Whether a question is answered from the heaviest keys alone. */
export function isOfHeaviest(
  { keySlots }: EngineCore["rules"],
  { rows, top }: Pick<GradientQuestion, "rows" | "top">,
): boolean {
  return rows.kind === "standing" && top < keySlots.count;
}

/**
 * If |g| is below this, no derivative leaves the range of float64: a derivative is at most g · 2⁴ · 10¹²⁰,
 * for float32 rows and a float32 scale, times the number of terms.
 */
const SAFE_GRADIENT = 1e150;

function checkFinite(
  operation: string,
  { slots, query, rows, bias }: GradientAnswer,
  asked: GradientRows,
  layout: HeadLayout,
): void {
  const refuse = (what: string, number: number) => {
    const expected = "finite numbers; the derivative by the output is too large for them";
    throw new InputError(operation, `a derivative by ${what} is ${number}`, expected);
  };
  const check = (numbers: Float64Array, what: (at: number) => string) => {
    numbers.forEach((number, at) => Number.isFinite(number) || refuse(what(at), number));
  };
  check(query, (at) => {
    const row = Math.floor(at / queryColumns(layout));
    return asked.kind === "standing" ? `query ${asked.slots[row]}` : `passing query ${row}`;
  });
  const width = keyColumns(layout) + valueColumns(layout);
  check(rows, (at) => {
    const kind = at % width < keyColumns(layout) ? "key" : "value";
    return `${kind} ${slots[Math.floor(at / width)]}`;
  });
  check(bias, () => "a score");
}

const NO_ROWS = new Uint32Array(0);
