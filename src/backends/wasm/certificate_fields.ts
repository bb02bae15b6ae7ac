/**
 * The layout of what certificates keep in the memory of the kernels. The kernels and the code that calls them
 * both use this file.
 *
 * A *tile* has the sums of 32 neighbouring rows of a head, a *pair record* what one changed key has in them.
 * Both are lists of blocks of eight rows. f64 fields have 8 numbers of 8 bytes, others 8 of 4.
 */

/** Rows of a tile. */
export const TILE_ROWS = 32;
/** Blocks of a tile. */
export const TILE_BLOCKS = 4;

/**
 * f64: bounds summed over changed keys, of what they move, add to the mass, take from it, shift, and hide.
 */
export const MOVED = 0;
export const GAINED = 64;
export const LOST = 128;
export const SHIFTED = 192;
export const DOUBT = 256;
/** f64: the largest that moved + shifted, and gained + lost + doubt, have ever been. */
export const MOVED_PEAK = 320;
export const WEIGHT_PEAK = 384;
/** i32: −1 for the rows that a call is about. */
export const ASKED = 448;
/** i32: another number each time that the sums of the row are begun. */
export const AGE = 480;
/** f32: 1 / mass. */
export const SHARE = 512;
/** f32: at least |scale|·‖q‖. */
export const REACH = 544;
/** f32: at least ‖o‖. */
export const NORM = 576;
/** f32: at least the error of the mass, and of another sum, over the mass. */
export const MASS_ERROR_SHARE = 608;
export const SUM_ERROR_SHARE = 640;
/** i32: −1 where float32 does not suffice. */
export const ODD = 672;
/**
 * f64: bounds on the total variation of the weights, on what other rounding did to o, and on the share of
 * mass that it hides.
 */
export const VARIATION = 704;
export const FIXED = 768;
export const MASS_DOUBT = 832;
/** f64: the share of mass that rounding of the weights alone hides. */
export const WEIGHT_DOUBT = 896;
/** Bytes of a block in a tile. */
export const TILE_BLOCK_BYTES = 960;
/** f64: the bounds of all rows of a tile, behind its blocks. */
export const BOUNDS = 3840;
/** Bytes of a tile. */
export const TILE_BYTES = 4096;

/**
 * f32: what one key has in the sums; gained if `CHANGE` is positive, else lost. i32: the age for which this
 * holds.
 */
export const PAIR_MOVED = 0;
export const PAIR_CHANGE = 32;
export const PAIR_SHIFTED = 64;
export const PAIR_DOUBT = 96;
export const PAIR_AGE = 128;
/**
 * f32: the raw score of the key before, and the distance of its value from o; NaN where they are not known.
 */
export const PAIR_RAW = 160;
export const PAIR_DISTANCE = 192;
/** Bytes of a block in a pair record. */
export const PAIR_BLOCK_BYTES = 224;

/** The record of a changed key. u32: the address of the key before, or of the one after if there was none. */
export const KEY = 0;
/** u32: the address of what was added to it; 0 for nothing. */
export const KEY_DELTA = 4;
/** u32: the same of its value. */
export const VALUE = 8;
export const VALUE_DELTA = 12;
/** u32: whether there was a key, and whether there is one. */
export const WAS_LIVE = 16;
export const IS_LIVE = 20;
/** u32: the addresses of the biases with row 0, before and after; 0 without a mask. */
export const BIAS_BEFORE = 24;
export const BIAS_AFTER = 28;
/** f64: positions, read only if the job has some. */
export const POSITION_BEFORE = 32;
export const POSITION_AFTER = 40;
/** f32: at least the norms of both keys, of the difference of keys, and of that of values. */
export const KEY_NORM = 48;
export const KEY_SHIFT = 52;
export const VALUE_SHIFT = 56;
/**
 * u32: how many numbers of the key were added to, and where the list of their offsets in a block of queries
 * is.
 */
export const MOVED_COUNT = 60;
export const MOVED_LIST = 64;
/** Bytes of the record; the differences follow it, then the list. */
export const CHANGE_BYTES = 72;

/**
 * The record of a question. f32: no two values are further apart, and no value is larger. u32: positions
 * matter.
 */
export const DIAMETER = 0;
export const SIZE = 4;
export const HAS_POSITIONS = 8;
/** u32: multiply-adds of the last call that exchanged changes. */
export const MULTIPLY_ADDS = 12;
/** f64: the diameter, and how often sums were exchanged, times the rounding of an exchange. */
export const WIDE_DIAMETER = 16;
export const EXCHANGED = 24;
/** The key that is being measured, 32 numbers each: raw scores and differences, later distances; weights. */
export const RAW = 64;
export const DIFFERENCE = 192;
export const CHANGE = 320;
export const AFTER = 448;
export const FOUND_DOUBT = 576;
export const FOUND_SHIFTED = 704;
export const FOUND_SLACK = 832;
/** The distances of the value before from o; NaN where they were not measured. */
export const FOUND_DISTANCE = 960;
/** Bytes of the record. */
export const QUESTION_BYTES = 1088;
