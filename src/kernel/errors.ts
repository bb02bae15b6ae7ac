/**
 * The errors of the kernel part, which stands apart from the library and its errors. Each names the operation, what came
 * and what was expected.
 */

import { Error } from "./natives.ts";

/** A message is not of the protocol, or not signed by the key; it was dropped. */
export class ProtocolError extends Error {
  /** The name of the class. */
  override readonly name: string = "ProtocolError";
  /** The operation that refused it. */
  readonly operation: string;

  /** The message reads `operation: actual, expected expected`. */
  constructor(operation: string, actual: string, expected: string, options?: ErrorOptions) {
    super(`${operation}: ${actual}, expected ${expected}`, options);
    this.operation = operation;
  }
}

/** A kernel did not start, ended by itself, or did not answer. */
export class KernelError extends Error {
  /** The name of the class. */
  override readonly name: string = "KernelError";
  /** The operation that failed. */
  readonly operation: string;

  /** The message reads `operation: detail`. */
  constructor(operation: string, detail: string, options?: ErrorOptions) {
    super(`${operation}: ${detail}`, options);
    this.operation = operation;
  }
}
