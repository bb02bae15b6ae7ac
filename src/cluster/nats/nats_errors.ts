/**
 * The errors of the NATS client and of its server, and what they mean for the caller.
 */

import { LogError } from "../log.ts";
import type { NatsPackages } from "./packages.ts";

/**
 * The state of a call after an error.
 *
 * - "unsent": no server received it, so that it has not happened; the same call may succeed later.
 * - "unknown": no answer came, or one that says nothing; it may have happened.
 * - "conflict": the value had another revision.
 * - "missing": the stream is not there.
 * - "full", "refused": as {@link LogError} says.
 */
export type NatsFailure = "unsent" | "unknown" | "conflict" | "missing" | "full" | "refused";

/** Thrown into calls whose connection is lost, since no answer to them will come. */
export class ConnectionLost extends Error {}

/** Codes of the server's API: the stream or value had another last sequence. */
const CONFLICT = new Set([10071, 10164]);
/** The stream is not there. */
const MISSING = new Set([10059]);
/** JetStream is not there yet, or has no leader, so that it took nothing. */
const UNSENT = new Set([10008, 10009, 10039, 10076, 10118]);
/** No memory, no disk, more than the stream or the account may hold. */
const FULL = new Set([10002, 10023, 10028, 10047, 10077, 10110]);
/** The message is larger than the stream takes; the configuration is not possible; the account may not. */
const REFUSED = new Set([10054, 10052, 10035, 10025, 10026, 10074]);

/** A stream of that name is there with another configuration. */
const TAKEN = 10058;

/** Whether a stream could not be made since there is another one of its name. */
export function isTaken({ jetstream }: NatsPackages, error: unknown): boolean {
  return error instanceof jetstream.JetStreamApiError && error.code === TAKEN;
}

/** Says what an error means. */
export function failureOf({ core, jetstream }: NatsPackages, error: unknown): NatsFailure {
  for (const cause of causesOf(error)) {
    if (cause instanceof jetstream.JetStreamApiError) return failureOfCode(cause.code, cause.message);
    if (cause instanceof core.errors.PermissionViolationError) return "refused";
    if (cause instanceof core.errors.AuthorizationError) return "refused";
    if (cause instanceof core.errors.UserAuthenticationExpiredError) return "refused";
    if (cause instanceof core.errors.InvalidArgumentError) return "refused";
    if (cause instanceof core.errors.NoRespondersError) return "unsent";
    if (cause instanceof core.errors.RequestError && cause.isNoResponders()) return "unsent";
  }
  return "unknown";
}

/**
 * Whether a write may have happened although its error says that something is not permitted: the answer could
 * not come, or the login ended on the way.
 */
export function mayBeWritten({ core }: NatsPackages, error: unknown): boolean {
  for (const cause of causesOf(error)) {
    if (cause instanceof core.errors.PermissionViolationError) return cause.operation !== "publish";
    if (cause instanceof core.errors.AuthorizationError) return true;
    if (cause instanceof core.errors.UserAuthenticationExpiredError) return true;
  }
  return false;
}

function failureOfCode(code: number, message: string): NatsFailure {
  if (CONFLICT.has(code)) return "conflict";
  if (MISSING.has(code)) return "missing";
  if (UNSENT.has(code)) return "unsent";
  if (FULL.has(code)) return "full";
  if (REFUSED.has(code)) return "refused";
  // A store that cannot write says so only in its message.
  return /no space|maximum (bytes|messages)|exceeded/i.test(message) ? "full" : "unknown";
}

/** The error as callers see it. */
export function toLogError(operation: string, failure: NatsFailure, cause: unknown): LogError {
  const said = [...causesOf(cause)].map((error) => error.message).find((text) => text !== "") ??
    String(cause);
  if (failure === "unsent") {
    return new LogError(operation, "unreachable", `no server with JetStream answers: ${said}`, { cause });
  }
  if (failure === "missing") {
    return new LogError(operation, "damaged", `the stream is gone: ${said}`, { cause });
  }
  if (failure === "full" || failure === "refused") return new LogError(operation, failure, said, { cause });
  return new LogError(operation, "timeout", `no answer that says whether it happened: ${said}`, { cause });
}

function* causesOf(error: unknown): Generator<Error> {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) yield at;
}
