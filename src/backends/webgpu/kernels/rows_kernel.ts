/**
 * The kernel that computes states, as text for a shader: scores, weights and sums of 32 head rows of one head
 * with tiles of 32 keys in workgroup memory, in one pass over the keys and without an m × n matrix. It builds
 * rows from scratch, patches them, or writes scores. Scores and weights come from the same code in all three
 * modes.
 *
 * Many keys are cut into parts, each with a workgroup and a state of its own, so that a single row can use
 * all processors of a device; `merge_kernel.ts` merges the states of the parts.
 *
 * A *term* is a record of a key that is added or subtracted. If only the value of a key has changed, its two
 * terms are a *pair*: neighbours with one score. A workgroup has 64 threads; in the products each has a tile
 * of its own, otherwise thread t works for row t.
 */

import { callStruct, SLOPES } from "../call_fields.ts";
import * as record from "../record_layout.ts";
import { HEAVY_KEYS } from "../../host/row_states.ts";
import { EXPONENTIAL } from "./exponential.ts";
import { LEDGER } from "./ledger.ts";
import { LISTED_ROWS } from "./listed_rows.ts";
import { PRODUCTS } from "./products.ts";
import { twoFloats } from "./two_floats.ts";

/** Rows and keys of a tile. */
export const TILE_ROWS = 32, TILE_KEYS = 32;

/** The mode for which the kernel is compiled. */
export type RowsMode = "build" | "patch" | "score";

/** The shader. */
export function rowsKernel(mode: RowsMode, isCompensated: boolean): string {
  return [
    callStruct(),
    BINDINGS,
    LISTED_ROWS,
    mode === "build" ? "" : EXTRA_BINDING[mode],
    twoFloats(isCompensated),
    EXPONENTIAL,
    constants(mode),
    PRODUCTS,
    mode === "score" ? "" : LEDGER,
    mode === "build" ? RAISE_SHIFT : "",
    mode === "patch" ? HEAVY : "",
    MAIN[mode],
  ].join("\n");
}

const BINDINGS = /* wgsl */ `
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read> terms: array<u32>;
@group(0) @binding(3) var<storage, read> queries: array<u32>;
@group(0) @binding(4) var<storage, read_write> states: array<u32>;
/** The bias by distance: slopes in two floats, by head, or a table. */
@group(0) @binding(5) var<storage, read> distances: array<f32>;
`;

const EXTRA_BINDING = {
  patch: `@group(0) @binding(6) var<storage, read_write> flagged: array<atomic<u32>>;`,
  score: `@group(0) @binding(6) var<storage, read_write> found: array<u32>;`,
};

function constants(mode: RowsMode): string {
  return /* wgsl */ `
const IS_BUILD = ${mode === "build"};
const ROWS = ${TILE_ROWS}u;
const KEYS = ${TILE_KEYS}u;
const THREADS = 64u;
const NO_SLOT = 0xffffffffu;
const EMPTY_KEY = ${record.EMPTY_KEY}u;
const TAKEN_KEY = ${record.TAKEN_KEY}u;
const KEY_START = ${record.KEY_START}u;
const QUERY_START = ${record.QUERY_START}u;
const SHIFT = ${record.SHIFT}u;
const CEILING = ${record.CEILING}u;
const MASS_ERROR = ${record.MASS_ERROR}u;
const SUM_ERROR = ${record.SUM_ERROR}u;
const HEAVY_COUNT = ${record.HEAVY_COUNT}u;
const HEAVY_SLOTS = ${record.HEAVY_SLOTS}u;
const HEAVY_SCORES = ${record.HEAVY_SCORES}u;
const HEAVY_RESTS = ${record.HEAVY_RESTS}u;
const HEAVY_KEYS = ${HEAVY_KEYS}u;
const SUMS = ${record.SUMS}u;
const SLOPES = ${SLOPES}u;
const NO_BLOCK = ${record.NO_BLOCK}u;
const OPEN_CEILING = ${record.OPEN_CEILING};
const FORBIDDEN = ${record.FORBIDDEN_BITS}u;
/**
 * Biases count as at most this much either way, so that no sum with a score overflows; such rows are steep in
 * any case.
 */
const MOST_BIAS = 0x1p126f;
/** Weights below 2^−125 are 0. */
const SMALLEST_POWER = -125;
/** The bound of a row that cannot be trusted whatever it holds. */
const DISTRUSTED = 1e38;
`;
}

/**
 * Moves a row to the largest power among its scores: all its sums are multiplied by a power of two, which is
 * exact.
 */
const RAISE_SHIFT = /* wgsl */ `
fn raiseShift(row: u32, keys: u32) {
  var power = EMPTY_SHIFT;
  for (var key = 0u; key < keys; key++) {
    let score = scores[row * KEYS + key];
    if (score != FORBIDDEN) {
      power = max(power, powerOf(bitcast<f32>(score)));
    }
  }
  rowFactor[row] = 1.0;
  if (rowBase[row] == NO_SLOT || power <= rowShift[row]) {
    return;
  }
  let factor = powerOfTwo(max(rowShift[row] - power, -1000));
  let mass = rowBase[row] + SUMS + call.width - 2u;
  massError = fma(massError, factor, heldAt(mass) * VANISHING);
  sumError = fma(sumError, factor, heldAt(mass + 1u) * VANISHING);
  rowShift[row] = power;
  rowFactor[row] = factor;
}
`;

/**
 * Heavy keys are recorded and removed in the order of their terms; a row with too many is not trusted any
 * more. They are not in its sums.
 */
const HEAVY = /* wgsl */ `
fn noteHeavy(row: u32, count: u32, pairs: u32) {
  let heavy = atomicLoad(&rowHeavy[row]);
  if (heavy == 0u) {
    return;
  }
  let base = rowBase[row];
  for (var term = 0u; term < count; term++) {
    let key = keyOf(term, pairs);
    if (((heavy >> key) & 1u) == 0u || termKind[term] == EMPTY_KEY) {
      continue;
    }
    if (termKind[term] == TAKEN_KEY) {
      for (var at = 0u; at < heavyCount; at++) {
        if (states[base + HEAVY_SLOTS + at] == termSlot[term]) {
          heavyCount--;
          moveHeavy(base, heavyCount, at);
          break;
        }
      }
    } else if (heavyCount == HEAVY_KEYS) {
      massError = DISTRUSTED;
    } else {
      states[base + HEAVY_SLOTS + heavyCount] = termSlot[term];
      states[base + HEAVY_SCORES + heavyCount] = scores[row * KEYS + key];
      states[base + HEAVY_RESTS + heavyCount] = bitcast<u32>(weights[row * KEYS + key]);
      heavyCount++;
    }
  }
  for (var key = 0u; key < KEYS; key++) {
    if (((heavy >> key) & 1u) != 0u) {
      weights[row * KEYS + key] = 0.0;
    }
  }
}

/** Puts a heavy key in the place of another, and nothing in its own. */
fn moveHeavy(base: u32, last: u32, to: u32) {
  for (var list = HEAVY_SLOTS; list < SUMS; list += HEAVY_KEYS) {
    states[base + list + to] = states[base + list + last];
    states[base + list + last] = 0u;
  }
}
`;

/** The beginning of all modes: it selects the rows of this workgroup. */
const ENTER = /* wgsl */ `
@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let head = group.z + call.head;
  let keyHead = head * call.kvHeads / call.heads;
  if (thread == 0u) {
    listedCount = countRows(head);
  }
  let rowCount = workgroupUniformLoad(&listedCount);
  let place = group.x + group.y * groups.x;
  let part = place % call.parts;
  let first = place / call.parts * ROWS;
  if (first >= rowCount || call.partFirst + part >= call.partEnd) {
    return;
  }
  let termFirst = min(call.termFirst + part * call.partTerms, call.termEnd);
  let termEnd = min(termFirst + call.windowTerms, call.termEnd);
  if (thread < ROWS) {
    rowSlot[thread] = NO_SLOT;
    rowBase[thread] = NO_SLOT;
    if (first + thread < rowCount) {
      rowSlot[thread] = slotOf(head, first + thread);
      rowBase[thread] = baseOf(call.partFirst + part, first + thread, rowSlot[thread], head);
    }
  }
  workgroupBarrier();
`;

const ROWS_MAIN = (raise: string, heavy: string, end: string) => /* wgsl */ `
var<private> massError: f32;
var<private> sumError: f32;
var<private> heavyCount: u32;

${ENTER}
  if (thread < ROWS && rowBase[thread] != NO_SLOT) {
    let base = rowBase[thread];
    if (IS_BUILD && call.isFirst != 0u) {
      rowShift[thread] = EMPTY_SHIFT;
      rowCeiling[thread] = OPEN_CEILING;
    } else {
      rowShift[thread] = bitcast<i32>(states[base + SHIFT]);
      rowCeiling[thread] = bitcast<i32>(states[base + CEILING]);
      massError = bitcast<f32>(states[base + MASS_ERROR]);
      sumError = bitcast<f32>(states[base + SUM_ERROR]);
      heavyCount = states[base + HEAVY_COUNT];
    }
    rowFactor[thread] = 1.0;
    rowExact[thread] = 0u;
  }
  if (IS_BUILD && call.isFirst != 0u) {
    // Heavy keys and sums.
    let words = call.stateWords - HEAVY_COUNT;
    for (var at = thread; at < ROWS * words; at += THREADS) {
      let base = rowBase[at / words];
      if (base != NO_SLOT) {
        states[base + HEAVY_COUNT + at % words] = 0u;
      }
    }
    storageBarrier();
  }

  for (var chunk = termFirst; chunk < termEnd; chunk += KEYS) {
    let terms = min(KEYS, termEnd - chunk);
    let before = min((chunk - call.termFirst) / 2u, call.pairs);
    let pairs = min(terms / 2u, call.pairs - before);
    let keys = terms - pairs;
    takeTerms(thread, chunk, terms, keyHead);
    scoreTile(thread, chunk, keys, pairs, head, keyHead);
    workgroupBarrier();
    ${raise}
    weighTile(thread, keys);
    workgroupBarrier();
    if (thread < ROWS && rowBase[thread] != NO_SLOT) {
      ${heavy}
      chargeWeights(thread, terms, pairs);
    }
    workgroupBarrier();
    addTile(thread, chunk, terms, pairs, keyHead);
    storageBarrier();
    workgroupBarrier();
    if (thread < ROWS && rowBase[thread] != NO_SLOT) {
      chargeChunk(thread);
    }
  }

  if (thread < ROWS && rowBase[thread] != NO_SLOT) {
    let base = rowBase[thread];
    ${end}
    states[base + SHIFT] = bitcast<u32>(rowShift[thread]);
    states[base + CEILING] = bitcast<u32>(rowCeiling[thread]);
    states[base + MASS_ERROR] = bitcast<u32>(massError);
    states[base + SUM_ERROR] = bitcast<u32>(sumError);
    states[base + HEAVY_COUNT] = heavyCount;
  }
}
`;

const MAIN: Record<RowsMode, string> = {
  build: ROWS_MAIN(
    /* wgsl */ `if (thread < ROWS) {
      raiseShift(thread, keys);
    }
    workgroupBarrier();`,
    "",
    /* wgsl */ `heavyCount = 0u;
    if (call.isLast != 0u) {
      rowCeiling[thread] = ceilingOf(rowShift[thread], heldAt(base + SUMS + call.width - 2u));
    }`,
  ),
  patch: ROWS_MAIN(
    "",
    "noteHeavy(thread, terms, pairs);",
    /* wgsl */ `if (call.isLast != 0u && !isTrusted(thread)) {
      let at = atomicAdd(&flagged[head], 1u);
      atomicStore(&flagged[call.heads + head * call.flaggedStride + at], rowSlot[thread]);
    }`,
  ),
  score: /* wgsl */ `
${ENTER}
  for (var chunk = termFirst; chunk < termEnd; chunk += KEYS) {
    let keys = min(KEYS, termEnd - chunk);
    takeTerms(thread, chunk, keys, keyHead);
    scoreTile(thread, chunk, keys, 0u, head, keyHead);
    workgroupBarrier();
    if (thread < keys) {
      found[call.outFirst + chunk + thread] = scores[thread];
    }
    workgroupBarrier();
  }
}
`,
};
