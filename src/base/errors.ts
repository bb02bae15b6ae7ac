/**
 * The errors of the library. Each message names the operation, the value that came and the one that was
 * expected, in one sentence: `DynamicAttention.setKey: row has 63 numbers, expected 64 (kvHeads × headDim)`.
 * An operation that throws one of them has changed nothing.
 */

/**
 * The base class of every error that this library throws.
 *
 * @example
 * ```ts
 * import { attention, AttentionError } from "@attune/attention";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const error = await assertRejects(
 *   () => attention({ query: [[1, 2]], key: [[1]], value: [[1]] }),
 *   AttentionError,
 * );
 * assertEquals(error.message, "attention: key has 1 columns, expected 2 (kvHeads × headDim)");
 * ```
 */
export class AttentionError extends Error {
  /** The name of the class. */
  override readonly name: string = "AttentionError";
  /** The operation that was refused or failed, as the caller wrote it: `DynamicAttention.setKey`. */
  readonly operation: string;

  /** Names the operation in front of `detail`. */
  constructor(operation: string, detail: string, options?: ErrorOptions) {
    super(`${operation}: ${detail}`, options);
    this.operation = operation;
  }
}

/** An argument or option has the wrong shape, type or value; nothing was changed. */
export class InputError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "InputError";
  /** The value that came, in words. */
  readonly actual: string;
  /** The value that was expected, in words. */
  readonly expected: string;

  /** The message reads `operation: actual, expected expected`. */
  constructor(operation: string, actual: string, expected: string, options?: ErrorOptions) {
    super(operation, `${actual}, expected ${expected}`, options);
    this.actual = actual;
    this.expected = expected;
  }
}

/** A number is not that of a live key slot or query slot; nothing was changed. */
export class SlotError extends InputError {
  /** The name of the class. */
  override readonly name: string = "SlotError";
  /** The value that the caller passed; it need not be an integer. */
  readonly slot: number;

  /** `what` is the kind of slot, "key" or "query". */
  constructor(operation: string, what: "key" | "query", slot: number) {
    super(operation, `${what} slot ${describe(slot)} is not live`, `the number of a live ${what}`);
    this.slot = slot;
  }
}

/** An id names no live key or query; nothing was changed. */
export class IdError extends InputError {
  /** The name of the class. */
  override readonly name: string = "IdError";
  /** The id that came; not always one, since anything may come. */
  readonly id: unknown;
  /** Live ids that are near to it, the likeliest first; none where nothing is. */
  readonly nearest: readonly (string | number | bigint)[];

  /** `what` is the kind of slot, "key" or "query". */
  constructor(
    operation: string,
    what: "key" | "query",
    id: unknown,
    nearest: readonly (string | number | bigint)[],
  ) {
    const meant = nearest.map((near) => describe(near)).join(" or ");
    const hint = meant === "" ? "" : `; did you mean ${meant}?`;
    super(operation, `${what} ${describe(id)} is not there`, `the id of a live ${what}${hint}`);
    this.id = id;
    this.nearest = nearest;
  }
}

/** The engine, or what the method belongs to, was disposed before the call. */
export class DisposedError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "DisposedError";

  /** The message reads `operation: the engine is disposed, expected a live one`. */
  constructor(operation: string, what: "engine" | "followed rows" = "engine") {
    const found = what === "engine"
      ? "the engine is disposed, expected a live one"
      : `the ${what} are disposed, expected live ones`;
    super(operation, found);
  }
}

/**
 * A mask function or a threshold function called a method of the engine that was calling it; nothing was
 * changed. While an engine calls such a function, its synchronous readers (`getKey`, `keySlots`, `stats` and
 * the like) still answer, and every other method throws this error.
 */
export class ReentryError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "ReentryError";
  /** The option whose function the engine was calling. */
  readonly callback: "mask" | "lazyThreshold";

  /**
   * The message reads `operation: called by the function callback while the engine asks it, expected a later
   * call`.
   */
  constructor(operation: string, callback: "mask" | "lazyThreshold") {
    super(operation, `called by the function ${callback} while the engine asks it, expected a later call`);
    this.callback = callback;
  }
}

/**
 * A backend failed while it applied edits or computed an answer; `cause` holds its own error. No edit is
 * lost: edits that were not applied are pending again, and the next flush or read applies them.
 */
export class BackendError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "BackendError";

  /** `cause` is the error that the backend threw. */
  constructor(operation: string, backend: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(operation, `backend ${backend} failed (${reason}); the edits are kept and pending`, { cause });
  }
}

/**
 * The reason why a device cannot be used. A device is "unfit" when its arithmetic is not as exact as answers
 * need it, or when it takes too long to compile the kernels.
 */
export type DeviceFailure = "lost" | "out-of-memory" | "validation" | "shader" | "internal" | "unfit";

/**
 * A graphics device failed. Callers find it as the `cause` of a {@link BackendError}. No edit is lost, and
 * the next call opens a fresh device if there is one.
 */
export class DeviceError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "DeviceError";
  /** The kind of failure: the device went away, had no memory, refused a command or a shader, or is unfit. */
  readonly reason: DeviceFailure;

  /** The message reads `operation: reason, said`, where `said` is the device's own message. */
  constructor(operation: string, reason: DeviceFailure, said: string, options?: ErrorOptions) {
    super(operation, said === "" ? reason : `${reason}, ${said}`, options);
    this.reason = reason;
  }
}

/** The platform refused memory that a call needs; nothing was changed. */
export class CapacityError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "CapacityError";
  /** The number of bytes that the call needed. */
  readonly bytes: number;
  readonly #what: string;

  /** `what` names the thing that would have taken `bytes`; `cause` is the platform's error. */
  constructor(operation: string, what: string, bytes: number, cause: unknown) {
    super(operation, `${what} would take ${bytes} bytes, expected what fits into memory`, { cause });
    this.bytes = bytes;
    this.#what = what;
  }

  /** An error as the call `operation` throws it: a refusal of memory to some part becomes one to the call. */
  static ofCall(operation: string, error: unknown): unknown {
    if (!(error instanceof CapacityError) || error.operation === operation) return error;
    return new CapacityError(operation, error.#what, error.bytes, error.cause);
  }

  /** Runs an allocation of `bytes`; a `RangeError` that it throws becomes an error of this class. */
  static guard<T>(operation: string, what: string, bytes: number, allocate: () => T): T {
    try {
      return allocate();
    } catch (cause) {
      throw cause instanceof RangeError ? new CapacityError(operation, what, bytes, cause) : cause;
    }
  }
}

/** The accuracy that the caller asked for cannot be proven; no result is given, and nothing was changed. */
export class AccuracyError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "AccuracyError";
  /** The query (row of the states) with the largest bound. */
  readonly row: number;
  /** The head with the largest bound. */
  readonly head: number;
  /** A proven upper bound on the relative error; Infinity when nothing is proven. */
  readonly bound: number;
  /** The relative error that the caller allowed. */
  readonly tolerance: number;

  /**
   * The message reads `operation: row 2, head 0 may be off by bound of itself, expected at most tolerance …`.
   */
  constructor(operation: string, row: number, head: number, bound: number, tolerance: number) {
    super(
      operation,
      `row ${row}, head ${head} may be off by ${bound.toPrecision(3)} of itself, ` +
        `expected at most ${tolerance} (tolerance); compute it from the keys that remain`,
    );
    this.row = row;
    this.head = head;
    this.bound = bound;
    this.tolerance = tolerance;
  }
}

/** Bytes are not of the expected format, or are damaged; the call has no result. */
export class FormatError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "FormatError";
  /** The content that was found, in words. */
  readonly actual: string;
  /** The value that was expected, in words. */
  readonly expected: string;

  /** The message reads `operation: actual, expected expected`. */
  constructor(operation: string, actual: string, expected: string, options?: ErrorOptions) {
    super(operation, `${actual}, expected ${expected}`, options);
    this.actual = actual;
    this.expected = expected;
  }
}

/**
 * A short text for any value, for messages: at most some 200 characters. A value that throws when it is
 * inspected is described, too.
 */
export function describe(value: unknown): string {
  try {
    return describeTo(value, DEEPEST);
  } catch {
    return "a value that cannot be looked at";
  }
}

/** Lists inside lists are shown to this depth, with at most this number of entries of each. */
const DEEPEST = 2, MOST_ENTRIES = 4;
const LONGEST_TEXT = 120, LONGEST_QUOTED = 200, LONGEST_NAME = 40;
const LARGEST_BIGINT = 10n ** 30n;
/** Characters that are invisible in a message, beside those that JSON escapes. */
const UNSEEN = /[\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/g;

function describeTo(value: unknown, depth: number): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "bigint") return describeBigint(value);
  if (Array.isArray(value)) return describeList(value, depth);
  if (value instanceof Error) return `${shortened(value.name, LONGEST_NAME)}: ${shortened(value.message)}`;
  if (typeof value === "object" && value !== null) {
    const name: unknown = value.constructor?.name;
    return `an object (${typeof name === "string" ? shortened(name, LONGEST_NAME) : "no prototype"})`;
  }
  return Object.is(value, -0) ? "-0" : shortened(String(value));
}

function describeList(list: readonly unknown[], depth: number): string {
  if (list.length === 0) return "[]";
  if (depth === 0) return "[…]";
  const entries = Array.from(
    { length: Math.min(list.length, MOST_ENTRIES) },
    (_, at) => describeTo(list[at], depth - 1),
  );
  if (list.length > MOST_ENTRIES) entries.push("…");
  return shortened(`[${entries.join(", ")}]`);
}

/** A bigint of many digits is not converted, since that would take long. */
function describeBigint(value: bigint): string {
  const isShort = value < LARGEST_BIGINT && value > -LARGEST_BIGINT;
  return isShort ? `${value}n` : "a bigint of more than 30 digits";
}

function quoted(text: string): string {
  const seen = JSON.stringify(text.slice(0, LONGEST_TEXT))
    .replace(UNSEEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return text.length > LONGEST_TEXT ? `${shortened(seen)}…` : shortened(seen, LONGEST_QUOTED);
}

function shortened(text: string, most = LONGEST_TEXT): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
