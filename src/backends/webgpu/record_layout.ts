/**
 * The layout of the records that live on the device. All are words of 32 bits:
 *
 * key     kind, slot, position (2) | Hkv·d of the key | Hkv·(dv + 2): v, 1, ‖v‖∞ | place (3), block | biases
 * by query
 *     query   first and last position in reach (2 each) | H·d of the query | place (3), block
 *     state   shift, ceiling, massError, sumError, heavyCount | 8 heavy slots, 8 heavy scores, their rests |
 *             high | low
 *
 * A place is a position as the sum of three floats, where scores have a bias by distance; a block is the
 * number of one of positions, NO_BLOCK for none. A state is that of a head row; the states of a query lie
 * side by side. High and low are the dv + 2 sums in two floats; heavy scores and their rests are two floats,
 * too.
 */

import { type HeadLayout, keyColumns, queryColumns } from "../../numerics/head_layout.ts";
import { HEAVY_KEYS } from "../host/row_states.ts";

/**
 * The layout of the plans for the flagged rows of a page: for each batch of rows three words with the
 * workgroups of its build and an unused word, then three words with those of its merge and an unused word.
 */
export const PLAN_WORDS = 8, PLAN_MERGE = 4;

/** The kinds of key records. */
export const EMPTY_KEY = 0, ADDED_KEY = 1, TAKEN_KEY = 2;

/** The words at which the numbers of a record begin. */
export const KEY_START = 4, QUERY_START = 4;

/** In place of the number of a block of positions. */
export const NO_BLOCK = 0xffffffff;

/** The fields of a state. */
export const SHIFT = 0, CEILING = 1, MASS_ERROR = 2, SUM_ERROR = 3, HEAVY_COUNT = 4;
export const HEAVY_SLOTS = 5, HEAVY_SCORES = HEAVY_SLOTS + HEAVY_KEYS;
export const HEAVY_RESTS = HEAVY_SCORES + HEAVY_KEYS;
export const SUMS = HEAVY_RESTS + HEAVY_KEYS;

/** The shift of sums over no keys. */
export const EMPTY_SHIFT = -0x40000000;
/** The ceiling under which no key is heavy. */
export const OPEN_CEILING = 0x3fffffff;
/** A key is heavy when its weight is this many powers of two above the mass that its row was built with. */
export const HEAVY_POWERS = 3;
/**
 * The bits of −Infinity, which forbid a pair, as a bias and as a score. Shaders compare them as integers and
 * never compute with them, since WGSL has no infinities.
 */
export const FORBIDDEN_BITS = 0xff800000;

/** Sizes of the records of one engine. */
export interface RecordLayout {
  readonly layout: HeadLayout;
  /** dv + 2. */
  readonly width: number;
  readonly valueStart: number;
  /** Where the places of keys and of queries begin. */
  readonly placeStart: number;
  readonly queryPlaceStart: number;
  /** 4, or 0 where no bias depends on positions. */
  readonly placeWords: number;
  readonly biasStart: number;
  /** The number of words of a key's biases. */
  readonly biasWords: number;
  readonly keyWords: number;
  readonly queryWords: number;
  /** The number of words of the state of a head row. */
  readonly stateWords: number;
}

/**
 * Computes the layout of the records; `biasWords` is the number of words of a key's biases, `hasPlaces` says
 * whether a bias depends on positions.
 */
export function toRecordLayout(layout: HeadLayout, biasWords: number, hasPlaces = false): RecordLayout {
  const width = layout.valueDim + 2;
  const valueStart = KEY_START + keyColumns(layout);
  const placeStart = valueStart + layout.kvHeads * width, placeWords = hasPlaces ? 4 : 0;
  const biasStart = placeStart + placeWords, queryPlaceStart = QUERY_START + queryColumns(layout);
  return {
    layout,
    width,
    valueStart,
    placeStart,
    queryPlaceStart,
    placeWords,
    biasStart,
    biasWords,
    keyWords: biasStart + biasWords,
    queryWords: queryPlaceStart + placeWords,
    stateWords: SUMS + 2 * width,
  };
}
