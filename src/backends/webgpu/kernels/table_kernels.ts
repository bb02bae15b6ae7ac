/**
 * Small kernels for tables, as text for shaders: `move` copies records between tables, `bias` writes the
 * biases of a changed query, and `plan` computes the number of workgroups that refresh the rows flagged by a
 * patch.
 */

import { callStruct } from "../call_fields.ts";
import { PLAN_MERGE, PLAN_WORDS } from "../record_layout.ts";
import { TILE_ROWS } from "./rows_kernel.ts";

/** In place of a kind: the kind does not change. */
export const SAME_KIND = 0xffffffff;

/**
 * A move is three words: the first word of the source, the first word of the target, and the kind of the
 * moved key.
 */
export const MOVE = /* wgsl */ `
${callStruct()}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read> source: array<u32>;
@group(0) @binding(3) var<storage, read_write> goal: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let item = group.x + group.y * groups.x;
  if (item >= call.listCount) {
    return;
  }
  let at = call.listFirst + 3u * item;
  let origin = list[at];
  let to = list[at + 1u];
  let kind = list[at + 2u];
  for (var word = thread; word < call.words; word += 64u) {
    var moved = source[origin + word];
    if (word == 0u && kind != ${SAME_KIND}u) {
      moved = kind;
    }
    goal[to + word] = moved;
  }
}
`;

/** The list has, for each key of the page from \`termFirst\` on, a number for each head of the mask. */
export const BIAS = /* wgsl */ `
${callStruct()}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read_write> keys: array<u32>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let key = call.termFirst + (group.x + group.y * groups.x) * 64u + thread;
  if (key >= call.termEnd) {
    return;
  }
  for (var head = 0u; head < call.maskHeads; head++) {
    let bias = list[call.listFirst + (key - call.termFirst) * call.maskHeads + head];
    keys[key * call.keyWords + call.biasStart + call.slotBase * call.maskHeads + head] = bias;
  }
}
`;

/**
 * Flagged rows are built in batches; the plans have the workgroups of each batch, for builds of `parts` parts
 * at a time.
 */
export const PLAN = /* wgsl */ `
${callStruct()}
@group(0) @binding(0) var<uniform> call: Call;
@group(0) @binding(1) var<storage, read> list: array<u32>;
@group(0) @binding(2) var<storage, read_write> plans: array<u32>;
@group(0) @binding(3) var<storage, read_write> counters: array<u32>;

@compute @workgroup_size(1)
fn main() {
  var most = 0u;
  for (var head = 0u; head < call.heads; head++) {
    most = max(most, list[head]);
    counters[0] += list[head];
  }
  for (var batch = 0u; batch < call.batches; batch++) {
    let first = min(batch * call.batchRows, most);
    let rows = min(most - first, call.batchRows);
    let at = batch * ${PLAN_WORDS}u;
    plan(at, call.parts * ((rows + ${TILE_ROWS - 1}u) / ${TILE_ROWS}u));
    plan(at + ${PLAN_MERGE}u, rows);
  }
}

fn plan(at: u32, groups: u32) {
  plans[at] = min(groups, 65535u);
  plans[at + 1u] = (groups + 65534u) / 65535u;
  plans[at + 2u] = call.heads;
}
`;
