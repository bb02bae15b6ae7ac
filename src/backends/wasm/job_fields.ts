/**
 * The layout of a *job*, the record that gives the kernels the addresses of all tables, and of the blocks
 * that it points at. The kernels and the code that fills jobs both use this file, so that they cannot
 * disagree.
 *
 * A *row* is a head row, one head of one query slot; a *block* is eight rows that are computed together, one
 * per lane of two vectors. A *term* is one key with its value, which is added to the sums of a row or
 * subtracted. Addresses are bytes in the shared memory; tables of vectors start at multiples of 16.
 */

/** Rows of a block. */
export const BLOCK_ROWS = 8;
/** Bytes of one number for each row of a block. */
export const BLOCK_BYTES = 32;
/** Bytes of one column of the sums of a block. */
export const COLUMN_BYTES = 64;
/** Terms that are summed in float32 before they are added to the two-float sums. */
export const CHUNK_TERMS = 32;
/**
 * A patch of at most this number of terms is summed in float64: its extra cost is small, and single edits
 * then leave no rounding.
 */
export const FEW_TERMS = 16;
/**
 * Rows of at most this number of keys are always summed in float64: float32 from scratch has few roundings
 * there, and may be exact by chance when a chain of 32 multiply-adds is not. This takes up to 1.8 times as
 * long.
 */
export const FEW_KEYS = 256;

/** u32: d. */
export const HEAD_DIM = 0;
/**
 * u32: columns of a value as stored, a multiple of 4: dv numbers, 1, the largest magnitude of them, then
 * zeros.
 */
export const COLUMNS = 4;
/** u32: dv, which is also the column of the mass. */
export const VALUE_DIM = 8;
/** f32. */
export const SCALE = 12;
/** f32: c, or 0 for none. */
export const SOFTCAP = 16;
/** f32: the largest proven relative error that a row may have. */
export const TOLERANCE = 20;
/** f64: the largest distance of a key before the query. */
export const BEFORE = 24;
/** f64: the largest distance of a key after the query. */
export const AFTER = 32;

/** u32: terms. */
export const TERM_COUNT = 40;
/** Address of a u32 for each key, which is a pair or a term by itself: the address of its d numbers. */
export const TERM_KEYS = 44;
/** Address of a u32 for each term: the address of its value's columns. */
export const TERM_VALUES = 48;
/** Address of a u32 for each term: 0 to add it, 0x80000000 to subtract it. */
export const TERM_SIGNS = 52;
/** Address of a u32 for each key: the address of its bias with row 0, rows side by side; 0 without a mask. */
export const TERM_BIASES = 56;
/** Address of an f64 for each key: its position; 0 if no rule depends on positions. */
export const TERM_POSITIONS = 60;

/** Address of the queries: a block is d times 8 numbers, one per row. */
export const QUERIES = 64;
/** Address of an f64 for each row: its position; read only with TERM_POSITIONS. */
export const ROW_POSITIONS = 68;
/** Address of an i32 for each row: −1 for active rows, which a call computes, 0 for others. */
export const ROW_MASK = 72;
/** Address of the sums, which are never −0: a block is COLUMNS times 8 numbers in float64. */
export const SUMS = 80;
/** Address of an i32 for each row: its shift, a power of two; EMPTY_SHIFT for sums over no keys. */
export const SHIFT = 84;
/** Address of an i32 for each row: the power of two above which a key is heavy and stays out of the sums. */
export const CEILING = 88;
/** Address of an f32 for each row: proven bound on the error of the mass. */
export const MASS_ERROR = 92;
/** Address of an f32 for each row: proven bound on the error of each other column. */
export const SUM_ERROR = 96;
/** Address of an i32 for each row: set to −1 by a patch that leaves the row untrusted, else to 0. */
export const FLAGS = 100;
/** Address of SCRATCH_BYTES bytes that only one thread uses. */
export const SCRATCH = 104;
/** Address of the events: a list of ROW_EVENTS for each row. */
export const EVENTS = 108;
/** Address of an i32 for each row: its events in the last patch. */
export const EVENT_COUNTS = 112;
/** u32: events of all rows since it was set to 0. */
export const EVENT_COUNT = 116;
/**
 * u32: the number of pairs, which are the first terms of a patch: two terms with one key, whose weight is
 * computed once.
 */
export const PAIR_COUNT = 120;
/**
 * u32: the number of shared-value pairs, which come after the pairs in a patch: two terms with one value,
 * whose weights are added before the value is multiplied.
 */
export const SHARED_VALUE_PAIR_COUNT = 124;
/** u32: a call of at most this many terms is summed in float64. */
export const EXACT_TERMS = 128;
/** u32: whether biases are added before the softcap. */
export const BIAS_FIRST = 132;
/** f64: keys at positions below this are never too far before a query; read only with TERM_POSITIONS. */
export const KEEP_BEFORE = 136;
/** f64: the slope of a bias by distance; 0 for none. */
export const SLOPE = 144;
/** f64: the weight of the sink, divided by 2^SINK_POWER; 0 for none. */
export const SINK = 152;
/** i32. */
export const SINK_POWER = 160;
/** Address of an f32 for each whole distance, a bias; 0 for none. */
export const DISTANCE_BIASES = 164;
/** f64: the distance of the first of them. */
export const FIRST_DISTANCE = 168;
/** u32: how many there are. */
export const DISTANCE_COUNT = 176;
/** Address of an f32 for each block of queries and block of keys, a bias; 0 for none. */
export const BLOCK_BIASES = 180;
/** f64: positions of a block of queries. */
export const QUERY_BLOCK = 184;
/** f64: positions of a block of keys. */
export const KEY_BLOCK = 192;
/** u32: blocks of queries. */
export const BLOCK_ROW_COUNT = 200;
/** u32: blocks of keys. */
export const BLOCK_COLUMN_COUNT = 204;
/**
 * Address of a u32 for each key, as TERM_KEYS: the address of its packed numbers; read only by `unpackKeys`, which
 * places TERM_KEYS. (`host/packed_rows.ts` has the layout of packed rows.)
 */
export const PACKED_KEYS = 208;
/** Address of a u32 for each term, likewise for values. */
export const PACKED_VALUES = 212;
/** u32: FLOAT32, FLOAT16 or INT8. */
export const KEY_FORMAT = 216;
/** u32, likewise. */
export const VALUE_FORMAT = 220;
/** u32: bytes from a lane to where it unpacks keys of a tile; 0 where keys are not packed. */
export const KEY_TILE = 224;
/** u32, likewise for values. */
export const VALUE_TILE = 228;
/** Formats of rows. */
export const FLOAT32 = 0, FLOAT16 = 1, INT8 = 2;
/** Bytes of a job. */
export const JOB_BYTES = 256;

/**
 * Scores of a chunk, its weights, 4 numbers for each row, addresses of values once shared-value pairs are
 * joined, and weights in float64.
 */
export const SCRATCH_BYTES = (4 * CHUNK_TERMS + 4) * BLOCK_BYTES + 4 * CHUNK_TERMS;
/** A heavy key was met: u32 term, f32 score. */
export const EVENT_BYTES = 8;
/**
 * The number of events of a row that there is room for in a patch, eight removals and eight additions; a row
 * with more is flagged.
 */
export const ROW_EVENTS = 16;
/** The shift of sums over no keys. */
export const EMPTY_SHIFT = -0x40000000;
/** The ceiling under which no key is heavy. */
export const OPEN_CEILING = 0x3fffffff;
/** A key is heavy when its weight is this many powers of two above the mass that its row was built with. */
export const HEAVY_POWERS = 3;
