// Cuts a program that breaks a promise down to a small one that still does.

import type { BoundProgram, Step } from "./program.ts";

/** A smaller program of which `isBroken` still holds; it holds of `program`. */
export async function shrinkProgram(
  program: BoundProgram,
  isBroken: (program: BoundProgram) => Promise<boolean>,
): Promise<BoundProgram> {
  let smallest = program, isSmaller = true;
  while (isSmaller) {
    isSmaller = false;
    for (const candidate of smallerThan(smallest)) {
      // A candidate is made of the program that the round began with.
      if (!await isBroken(candidate)) continue;
      smallest = candidate;
      isSmaller = true;
      break;
    }
  }
  return smallest;
}

/** Programs that are smaller by one thing, those that lose the most first. */
function* smallerThan(program: BoundProgram): Generator<BoundProgram> {
  const { steps, key, value, query, rule } = program;
  for (let count = steps.length >> 1; count >= 1; count >>= 1) {
    for (let at = 0; at + count <= steps.length; at++) {
      yield { ...program, steps: steps.toSpliced(at, count) };
    }
  }
  for (const at of key.keys()) yield { ...program, key: key.toSpliced(at, 1), value: value.toSpliced(at, 1) };
  for (const at of query.keys()) if (query.length > 1) yield { ...program, query: query.toSpliced(at, 1) };
  yield* simplerRules(program);
  if (rule.kvHeads === 1 && rule.heads === 1) {
    if (rule.headDim > 1) yield narrowed(program, rule.headDim - 1, rule.valueDim);
    if (rule.valueDim > 1) yield narrowed(program, rule.headDim, rule.valueDim - 1);
  }
  yield* simplerNumbers(program);
}

function* simplerRules(program: BoundProgram): Generator<BoundProgram> {
  const { rule, biases } = program;
  const simpler: BoundProgram[] = [
    { ...program, threads: 1 },
    { ...program, biases: [] },
    ...biases.map((_, at) => ({ ...program, biases: biases.toSpliced(at, 1) })),
    { ...program, edits: Infinity },
    { ...program, error: Infinity },
    { ...program, tolerance: 1e-8 },
    { ...program, onThreshold: "patch" },
    { ...program, rule: { ...rule, softcap: 0 } },
    { ...program, rule: { ...rule, causal: false } },
    { ...program, rule: { ...rule, window: [Infinity, Infinity] } },
    { ...program, rule: { ...rule, scale: 1 } },
  ];
  const text = textOf(program);
  for (const each of simpler) if (textOf(each) !== text) yield each;
}

/** One number simpler: 0, 1, or with fewer digits. */
function* simplerNumbers(program: BoundProgram): Generator<BoundProgram> {
  const rows = (key: "query" | "key" | "value") =>
    program[key].flatMap((row, at) =>
      simplerRows(row).map((other) => ({ ...program, [key]: program[key].with(at, other) }))
    );
  yield* rows("query");
  yield* rows("key");
  yield* rows("value");
  for (const [at, step] of program.steps.entries()) {
    for (const simpler of simplerSteps(step)) yield { ...program, steps: program.steps.with(at, simpler) };
  }
}

function simplerSteps(step: Step): Step[] {
  switch (step.kind) {
    case "setKey":
    case "setValue":
    case "setQuery":
    case "insertQuery":
      return simplerRows(step.row).map((row) => ({ ...step, row }));
    case "insert":
      return [
        ...simplerRows(step.key).map((key) => ({ ...step, key })),
        ...simplerRows(step.value).map((value) => ({ ...step, value })),
      ];
    case "addToKey":
    case "addToValue":
      return simplerRows([step.delta]).map(([delta]) => ({ ...step, delta }));
    case "read":
    case "peek":
      return step.rows === 0 ? [] : [{ ...step, rows: 0 }];
    default:
      return [];
  }
}

function simplerRows(row: readonly number[]): number[][] {
  return row.flatMap((x, at) => {
    if (x === 0) return [];
    const numbers = [0, 1, Number(x.toPrecision(1)), Number(x.toPrecision(3))];
    // Fewer digits, or one that is nearer to 0: so that it ends.
    const length = String(x).length;
    return numbers.filter((other) => String(other).length < length).map((other) => [...row.with(at, other)]);
  });
}

/** Its first columns alone. */
function narrowed(program: BoundProgram, headDim: number, valueDim: number): BoundProgram {
  const key = (row: readonly number[]) => row.slice(0, headDim);
  const value = (row: readonly number[]) => row.slice(0, valueDim);
  const steps = program.steps.map((step): Step => {
    switch (step.kind) {
      case "setKey":
      case "setQuery":
      case "insertQuery":
        return { ...step, row: key(step.row) };
      case "setValue":
        return { ...step, row: value(step.row) };
      case "insert":
        return { ...step, key: key(step.key), value: value(step.value) };
      default:
        return step;
    }
  });
  return {
    ...program,
    rule: { ...program.rule, headDim, valueDim },
    query: program.query.map(key),
    key: program.key.map(key),
    value: program.value.map(value),
    steps,
  };
}

/** A program as one line, with the numbers that JSON has no word for. */
export function textOf(program: BoundProgram): string {
  return JSON.stringify(
    program,
    (_, x) =>
      typeof x === "number" && (!Number.isFinite(x) || Object.is(x, -0))
        ? `<${Object.is(x, -0) ? "-0" : x}>`
        : x,
  ).replace(/"<([^>]+)>"/g, "$1");
}
