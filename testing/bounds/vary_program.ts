// Neighbours of a program, for a search that climbs.

import type { Random } from "../random.ts";
import type { BoundProgram, Step } from "./program.ts";
import { Drawing, type ProfileName, toFloat32 } from "./profiles.ts";

/** A program that differs in a thing or a few. */
export function varyProgram(program: BoundProgram, random: Random, profile: ProfileName): BoundProgram {
  let varied = program;
  do varied = varyOnce(varied, random, profile); while (random.below(3) === 0);
  return varied;
}

function varyOnce(program: BoundProgram, random: Random, profile: ProfileName): BoundProgram {
  const drawing = new Drawing(random, profile, program.rule);
  const { steps, query } = program;
  const at = random.below(steps.length);
  switch (random.below(9)) {
    case 0:
      return { ...program, query: varyRows(program.query, random, drawing) };
    case 1:
      return { ...program, key: varyRows(program.key, random, drawing) };
    case 2:
      return { ...program, value: varyRows(program.value, random, drawing) };
    case 3:
      return steps.length > 2 ? { ...program, steps: steps.toSpliced(at, 1) } : program;
    case 4:
      return { ...program, steps: steps.toSpliced(at, 0, drawing.step(query, [], false)) };
    case 5:
      return { ...program, steps: steps.toSpliced(at + 1, 0, steps[at], { kind: "peek", rows: 0 }) };
    case 6:
      return varyRule(program, random);
    default:
      return { ...program, steps: steps.with(at, varyStep(steps[at], random, drawing)) };
  }
}

function varyRule(program: BoundProgram, random: Random): BoundProgram {
  const { rule, biases } = program;
  switch (random.below(5)) {
    case 0:
      return { ...program, rule: { ...rule, scale: rule.scale * random.pick([0.5, 0.9, 1.1, 2]) } };
    case 1:
      return { ...program, rule: { ...rule, softcap: rule.softcap * random.pick([0.5, 2]) } };
    case 2:
      return { ...program, onThreshold: random.pick(["auto", "patch", "rebuild"]) };
    case 3:
      return { ...program, biases: biases.map((bias) => bias * random.pick([1, 1, 0.5, 0.25])) };
    default:
      return { ...program, edits: random.pick([Infinity, 12, 3]) };
  }
}

function varyStep(step: Step, random: Random, drawing: Drawing): Step {
  switch (step.kind) {
    case "setKey":
    case "setValue":
    case "setQuery":
      return random.below(4) === 0
        ? { ...step, at: step.at + 1 }
        : { ...step, row: varyRow(step.row, random, drawing) };
    case "insertQuery":
      return { ...step, row: varyRow(step.row, random, drawing) };
    case "insert":
      return random.below(2) === 0
        ? { ...step, key: varyRow(step.key, random, drawing) }
        : { ...step, value: varyRow(step.value, random, drawing) };
    case "addToKey":
    case "addToValue":
      return { ...step, delta: varyNumber(step.delta, random, drawing) };
    case "delete":
    case "deleteQuery":
      return { ...step, at: step.at + 1 };
    case "read":
    case "peek":
      return { ...step, rows: random.below(8) };
    default:
      return step;
  }
}

function varyRows(
  rows: readonly (readonly number[])[],
  random: Random,
  drawing: Drawing,
): readonly (readonly number[])[] {
  if (rows.length === 0) return rows;
  const at = random.below(rows.length);
  return rows.with(at, varyRow(rows[at], random, drawing));
}

function varyRow(row: readonly number[], random: Random, drawing: Drawing): readonly number[] {
  if (random.below(3) === 0) {
    const factor = random.pick([
      -1,
      0.5,
      2,
      1 + 0.1 * random.normal(),
      2 ** random.below(20),
      2 ** -random.below(20),
    ]);
    return row.map((x) => toFloat32(factor * x));
  }
  const at = random.below(row.length);
  return row.with(at, varyNumber(row[at], random, drawing));
}

function varyNumber(x: number, random: Random, drawing: Drawing): number {
  const other = random.pick([
    0,
    -x,
    2 * x,
    x / 2,
    x * (1 + 0.1 * random.normal()),
    x + random.normal(),
    drawing.number(),
  ]);
  return toFloat32(other);
}
