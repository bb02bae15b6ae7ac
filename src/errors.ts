/**
 * The errors of the library. Each names the operation, what came and what was expected, in one sentence:
 * `DynamicAttention.setKey: row has 63 numbers, expected 64 (kvHeads × headDim)`. An operation that throws one of them
 * has changed nothing.
 */

/**
 * What every error of this library is an instance of.
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
  /** What came, in words. */
  readonly actual: string;
  /** What was expected, in words. */
  readonly expected: string;

  /** The message reads `operation: actual, expected expected`. */
  constructor(operation: string, actual: string, expected: string, options?: ErrorOptions) {
    super(operation, `${actual}, expected ${expected}`, options);
    this.actual = actual;
    this.expected = expected;
  }
}

/** A slot number names no live key or query; nothing was changed. */
export class SlotError extends InputError {
  /** The name of the class. */
  override readonly name: string = "SlotError";
  /** The number that came; not always an integer, since anything may come. */
  readonly slot: number;

  /** `what` is "key" or "query". */
  constructor(operation: string, what: "key" | "query", slot: number) {
    super(operation, `${what} slot ${describe(slot)} is not live`, `the number of a live ${what}`);
    this.slot = slot;
  }
}

/** The engine was disposed before the call. */
export class DisposedError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "DisposedError";

  /** An engine that has been disposed keeps nothing to answer from. */
  constructor(operation: string) {
    super(operation, "the engine is disposed, expected a live one");
  }
}

/**
 * A backend failed while it applied edits or answered; `cause` holds its own error. No edit is lost: what was
 * not applied is pending again, and the next flush or read tries anew.
 */
export class BackendError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "BackendError";

  /** `cause` is what the backend threw. */
  constructor(operation: string, backend: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(operation, `backend ${backend} failed (${reason}); the edits are kept and pending`, { cause });
  }
}

/** Why a device does not go on; one that is "unfit" does not keep what answers rest on, or takes too long to compile. */
export type DeviceFailure = "lost" | "out-of-memory" | "validation" | "shader" | "internal" | "unfit";

/**
 * A graphics device failed. It is the `cause` of the {@link BackendError} that tells of it: the edits are kept, and
 * the next call goes on with a fresh device where there is one.
 */
export class DeviceError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "DeviceError";
  /** What happened: the device went away, had no memory, refused a command or a shader, or is unfit. */
  readonly reason: DeviceFailure;

  /** The message reads `operation: reason, what the device said`. */
  constructor(operation: string, reason: DeviceFailure, said: string, options?: ErrorOptions) {
    super(operation, said === "" ? reason : `${reason}, ${said}`, options);
    this.reason = reason;
  }
}

/** What was asked for does not fit into memory; nothing was changed. */
export class CapacityError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "CapacityError";
  /** How many bytes would have been needed. */
  readonly bytes: number;

  /** `what` would have taken `bytes`; `cause` is the refusal of the platform. */
  constructor(operation: string, what: string, bytes: number, cause: unknown) {
    super(operation, `${what} would take ${bytes} bytes, expected what fits into memory`, { cause });
    this.bytes = bytes;
  }

  /** Runs an allocation of `bytes`, whose refusal becomes an error of this class. */
  static guard<T>(operation: string, what: string, bytes: number, allocate: () => T): T {
    try {
      return allocate();
    } catch (cause) {
      throw cause instanceof RangeError ? new CapacityError(operation, what, bytes, cause) : cause;
    }
  }
}

/** A result that cannot be promised to be as accurate as was asked; there is none, and nothing was changed. */
export class AccuracyError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "AccuracyError";
  /** The row with the largest bound. */
  readonly row: number;
  /** The head with the largest bound. */
  readonly head: number;
  /** What is proven of its relative error: that it is at most this; Infinity when nothing is. */
  readonly bound: number;
  /** What was asked. */
  readonly tolerance: number;

  /** The message reads `operation: row 2, head 0 may be off by bound of itself, expected at most tolerance …`. */
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

/** Bytes are not of the format that was expected, or were damaged; nothing was made of them. */
export class FormatError extends AttentionError {
  /** The name of the class. */
  override readonly name: string = "FormatError";
  /** What was found, in words. */
  readonly actual: string;
  /** What was expected, in words. */
  readonly expected: string;

  /** The message reads `operation: actual, expected expected`. */
  constructor(operation: string, actual: string, expected: string) {
    super(operation, `${actual}, expected ${expected}`);
    this.actual = actual;
    this.expected = expected;
  }
}

/** A short text for whatever a caller passed, for messages. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) {
    return `[${value.slice(0, 4).map(describe).join(", ")}${value.length > 4 ? ", …" : ""}]`;
  }
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === "object" && value !== null) {
    return `an object (${value.constructor?.name ?? "no prototype"})`;
  }
  return String(value);
}
