/**
 * The two matrix products, which are nearly all of the work, and the steps between them, as text for a
 * shader.
 *
 * One thread computes a score as a chain of d multiply-adds in order of columns, in any tile; so the bits of
 * a score depend on the query and the key alone.
 */

/** The number of columns that are in workgroup memory at a time. */
export const TILE_DEPTH = 16;

export const PRODUCTS = /* wgsl */ `
/** Columns of a tile of queries and keys, and of a tile of values. */
const DEPTH = ${TILE_DEPTH}u;

/**
 * Queries by column and row, then sums by row and column; keys by column and key, then values by term and
 * column.
 */
var<workgroup> left: array<f32, 512>;
var<workgroup> right: array<f32, 512>;
/** By row and key: the bits of a score, or FORBIDDEN. */
var<workgroup> scores: array<u32, 1024>;
/**
 * By row and key: what the score is rounded by, until it gives way to the weight; that of a heavy key stays.
 */
var<workgroup> weights: array<f32, 1024>;
var<workgroup> rowSlot: array<u32, 32>;
/** Where a row's state begins. */
var<workgroup> rowBase: array<u32, 32>;
var<workgroup> rowShift: array<i32, 32>;
var<workgroup> rowCeiling: array<i32, 32>;
/** The factor of a row's sums before the next chunk is added. */
var<workgroup> rowFactor: array<f32, 32>;
var<workgroup> rowExact: array<u32, 32>;
/** Which of the keys of a tile are heavy to a row, a bit for each. */
var<workgroup> rowHeavy: array<atomic<u32>, 32>;
var<workgroup> termKind: array<u32, 32>;
var<workgroup> termSlot: array<u32, 32>;
var<workgroup> termSize: array<f32, 32>;

/** The key, among those that are scored, of a term. */
fn keyOf(term: u32, pairs: u32) -> u32 {
  return select(term - pairs, term / 2u, term < 2u * pairs);
}

/** The first term of a key. */
fn termOf(key: u32, pairs: u32) -> u32 {
  return select(key + pairs, 2u * key, key < pairs);
}

fn heldAt(at: u32) -> f32 {
  return bitcast<f32>(states[at]);
}

fn takeTerms(thread: u32, chunk: u32, count: u32, keyHead: u32) {
  if (thread < ROWS) {
    atomicStore(&rowHeavy[thread], 0u);
  }
  if (thread < count) {
    let base = (chunk + thread) * call.keyWords;
    termKind[thread] = terms[base];
    termSlot[thread] = terms[base + 1u];
    termSize[thread] = bitcast<f32>(terms[base + call.valueStart + (keyHead + 1u) * call.width - 1u]);
  }
}

fn isBefore(a: vec2u, b: vec2u) -> bool {
  return a.x < b.x || (a.x == b.x && a.y < b.y);
}

/** Scores of the rows with some keys of a chunk. */
fn scoreTile(thread: u32, chunk: u32, keys: u32, pairs: u32, head: u32, keyHead: u32) {
  let row = 4u * (thread / 8u);
  let key = 4u * (thread % 8u);
  let isUsed = key < keys && rowSlot[row] != NO_SLOT;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var column = 0u; column < call.headDim; column += DEPTH) {
    let depth = min(DEPTH, call.headDim - column);
    workgroupBarrier();
    for (var at = thread; at < ROWS * DEPTH; at += THREADS) {
      let c = at % DEPTH;
      let r = at / DEPTH;
      var number = 0.0;
      if (c < depth && rowSlot[r] != NO_SLOT) {
        let base = (rowSlot[r] - call.slotBase) * call.queryWords + QUERY_START + head * call.headDim;
        number = bitcast<f32>(queries[base + column + c]);
      }
      left[c * ROWS + r] = number;
      number = 0.0;
      if (c < depth && r < keys) {
        let base = (chunk + termOf(r, pairs)) * call.keyWords + KEY_START + keyHead * call.headDim;
        number = bitcast<f32>(terms[base + column + c]);
      }
      right[c * KEYS + r] = number;
    }
    workgroupBarrier();
    if (isUsed) {
      for (var c = 0u; c < depth; c++) {
        let at = c * KEYS + key;
        let factor = vec4f(right[at], right[at + 1u], right[at + 2u], right[at + 3u]);
        let lane = c * ROWS + row;
        sum0 = fma(vec4f(left[lane]), factor, sum0);
        sum1 = fma(vec4f(left[lane + 1u]), factor, sum1);
        sum2 = fma(vec4f(left[lane + 2u]), factor, sum2);
        sum3 = fma(vec4f(left[lane + 3u]), factor, sum3);
      }
    }
  }
  if (isUsed) {
    putProducts(row * KEYS + key, sum0);
    putProducts((row + 1u) * KEYS + key, sum1);
    putProducts((row + 2u) * KEYS + key, sum2);
    putProducts((row + 3u) * KEYS + key, sum3);
  }
  workgroupBarrier();
  for (var at = thread; at < ROWS * KEYS; at += THREADS) {
    if (at % KEYS < keys) {
      let term = termOf(at % KEYS, pairs);
      scores[at] = scoreOf(at, (chunk + term) * call.keyWords, term, head);
    }
  }
}

fn putProducts(at: u32, products: vec4f) {
  scores[at] = bitcast<u32>(products.x);
  scores[at + 1u] = bitcast<u32>(products.y);
  scores[at + 2u] = bitcast<u32>(products.z);
  scores[at + 3u] = bitcast<u32>(products.w);
}

fn withBias(score: TwoFloats, bias: f32) -> TwoFloats {
  let added = clamp(bias, -MOST_BIAS, MOST_BIAS);
  let sum = opaque(score.high + added);
  return TwoFloats(sum, opaque(score.low + dropped(score.high, added, sum)));
}

/** keyPosition − queryPosition; exact where both are whole. */
fn distanceOf(key: u32, query: u32) -> TwoFloats {
  let first = bitcast<f32>(terms[key]);
  let second = bitcast<f32>(terms[key + 1u]);
  let less = bitcast<f32>(queries[query]);
  let lessAgain = bitcast<f32>(queries[query + 1u]);
  let coarse = opaque(first - less);
  let fine = opaque(second - lessAgain);
  let rest = opaque(bitcast<f32>(terms[key + 2u]) - bitcast<f32>(queries[query + 2u]));
  let sum = opaque(coarse + fine);
  let lost = opaque(opaque(dropped(first, -less, coarse) + dropped(second, -lessAgain, fine)) + dropped(coarse, fine, sum));
  let low = opaque(lost + rest);
  let high = opaque(sum + low);
  return TwoFloats(high, opaque(low - opaque(high - sum)));
}

/**
 * The bits of the score of a pair, of which there is the product; FORBIDDEN where a mask or the positions say
 * so, or there is no key.
 */
fn scoreOf(at: u32, keyBase: u32, term: u32, head: u32) -> u32 {
  let row = at / KEYS;
  if (rowSlot[row] == NO_SLOT || termKind[term] == EMPTY_KEY) {
    return FORBIDDEN;
  }
  var score = productOfBoth(bitcast<f32>(scores[at]), 0.0, call.scale, call.scaleLow);
  if (call.softcap > 0.0 && call.biasFirst == 0u) {
    score = capped(score);
  }
  let query = (rowSlot[row] - call.slotBase) * call.queryWords;
  if (call.looksAtPositions != 0u) {
    let place = vec2u(terms[keyBase + 2u], terms[keyBase + 3u]);
    let isKept = isBefore(place, vec2u(call.keepHigh, call.keepLow));
    if (
      (!isKept && isBefore(place, vec2u(queries[query], queries[query + 1u]))) ||
      isBefore(vec2u(queries[query + 2u], queries[query + 3u]), place)
    ) {
      return FORBIDDEN;
    }
  }
  if (call.distanceKind != 0u) {
    let distance = distanceOf(keyBase + call.placeStart, query + call.queryPlaceStart);
    if (call.distanceKind == SLOPES) {
      let isBehind = distance.high < 0.0;
      let size = TwoFloats(abs(distance.high), select(distance.low, -distance.low, isBehind));
      let bias = productOfBoth(size.high, size.low, distances[2u * head], distances[2u * head + 1u]);
      let added = max(-bias.high, -MOST_BIAS);
      let sum = opaque(score.high + added);
      score = TwoFloats(sum, opaque(opaque(score.low - bias.low) + dropped(score.high, added, sum)));
    } else {
      let last = f32(call.distanceCount - 1u);
      let entry = u32(clamp(distance.high - call.firstDistance, 0.0, last));
      let tableHead = select(0u, head, call.distanceHeads > 1u);
      let bias = bitcast<u32>(distances[tableHead * call.distanceCount + entry]);
      if (bias == FORBIDDEN) {
        return FORBIDDEN;
      }
      score = withBias(score, bitcast<f32>(bias));
    }
  }
  if (call.blockHeads != 0u) {
    let blockRow = queries[query + call.queryPlaceStart + 3u];
    let column = terms[keyBase + call.placeStart + 3u];
    if (blockRow == NO_BLOCK || column == NO_BLOCK) {
      return FORBIDDEN;
    }
    let blockHead = select(0u, head, call.blockHeads > 1u);
    let entry = (blockHead * call.blockRows + blockRow) * call.blockColumns + column;
    let bias = bitcast<u32>(distances[call.blockFirst + entry]);
    if (bias == FORBIDDEN) {
      return FORBIDDEN;
    }
    score = withBias(score, bitcast<f32>(bias));
  }
  if (call.maskHeads != 0u) {
    let maskHead = select(0u, head, call.maskHeads > 1u);
    let bias = terms[keyBase + call.biasStart + rowSlot[row] * call.maskHeads + maskHead];
    if (bias == FORBIDDEN) {
      return FORBIDDEN;
    }
    score = withBias(score, bitcast<f32>(bias));
  }
  if (call.softcap > 0.0 && call.biasFirst != 0u) {
    score = capped(score);
  }
  weights[at] = score.low;
  return bitcast<u32>(score.high);
}

/**
 * Weights from scores: exp(s) · 2^−shift, 0 where a pair is forbidden or its weight too small; heavy keys are
 * noted.
 */
fn weighTile(thread: u32, keys: u32) {
  for (var at = thread; at < ROWS * KEYS; at += THREADS) {
    let row = at / KEYS;
    if (at % KEYS >= keys || rowBase[row] == NO_SLOT) {
      continue;
    }
    var weight = 0.0;
    if (scores[at] != FORBIDDEN) {
      let score = bitcast<f32>(scores[at]);
      let power = powerOf(score);
      if (power > rowCeiling[row]) {
        atomicOr(&rowHeavy[row], 1u << (at % KEYS));
        continue;
      } else if (power - rowShift[row] >= SMALLEST_POWER) {
        let exact = mantissa(score, power);
        let rest = select(0.0, weights[at], abs(score) < MOST_SCORE);
        let rounded = opaque(exact.high + opaque(exact.low + opaque(exact.high * rest)));
        weight = timesPower(rounded, power - rowShift[row]);
      }
    }
    weights[at] = weight;
  }
}

/** Adds the terms of a chunk to the sums of all rows, a tile of columns at a time. */
fn addTile(thread: u32, chunk: u32, count: u32, pairs: u32, keyHead: u32) {
  let row = 4u * (thread / 8u);
  let pair = 2u * (thread % 8u);
  for (var column = 0u; column < call.width; column += DEPTH) {
    let depth = min(DEPTH, call.width - column);
    workgroupBarrier();
    for (var at = thread; at < count * DEPTH; at += THREADS) {
      let c = at % DEPTH;
      let term = at / DEPTH;
      var value = 0.0;
      if (c < depth && termKind[term] != EMPTY_KEY) {
        let base = (chunk + term) * call.keyWords + call.valueStart + keyHead * call.width;
        value = bitcast<f32>(terms[base + column + c]);
        value = select(value, -value, termKind[term] == TAKEN_KEY);
      }
      right[at] = value;
    }
    workgroupBarrier();
    if (IS_BUILD || !COMPENSATED) {
      if (pair < depth && rowSlot[row] != NO_SLOT) {
        var sum0 = vec2f();
        var sum1 = vec2f();
        var sum2 = vec2f();
        var sum3 = vec2f();
        for (var term = 0u; term < count; term++) {
          let value = vec2f(right[term * DEPTH + pair], right[term * DEPTH + pair + 1u]);
          let at = row * KEYS + keyOf(term, pairs);
          sum0 = fma(vec2f(weights[at]), value, sum0);
          sum1 = fma(vec2f(weights[at + KEYS]), value, sum1);
          sum2 = fma(vec2f(weights[at + 2u * KEYS]), value, sum2);
          sum3 = fma(vec2f(weights[at + 3u * KEYS]), value, sum3);
        }
        putSums(row * DEPTH + pair, sum0);
        putSums((row + 1u) * DEPTH + pair, sum1);
        putSums((row + 2u) * DEPTH + pair, sum2);
        putSums((row + 3u) * DEPTH + pair, sum3);
      }
      workgroupBarrier();
    }
    for (var at = thread; at < ROWS * DEPTH; at += THREADS) {
      if (at % DEPTH < depth) {
        addColumn(left[at], at / DEPTH, column + at % DEPTH, at % DEPTH, count, pairs);
      }
    }
  }
}

fn putSums(at: u32, sums: vec2f) {
  left[at] = sums.x;
  left[at + 1u] = sums.y;
}

/**
 * Adds to one sum of a row the plain sum of a chunk, or, where the row asks for it, each product by itself.
 */
fn addColumn(plain: f32, row: u32, column: u32, inTile: u32, count: u32, pairs: u32) {
  let base = rowBase[row];
  if (base == NO_SLOT) {
    return;
  }
  let high = base + SUMS + column;
  let low = high + call.width;
  let factor = rowFactor[row];
  var held = TwoFloats(heldAt(high) * factor, heldAt(low) * factor);
  if (rowExact[row] == 0u) {
    held = addTerm(held, plain);
  } else {
    for (var term = 0u; term < count; term++) {
      held = addProduct(held, weights[row * KEYS + keyOf(term, pairs)], right[term * DEPTH + inTile]);
    }
    held = settled(held.high, held.low);
  }
  states[high] = bitcast<u32>(held.high);
  states[low] = bitcast<u32>(held.low);
}
`;
