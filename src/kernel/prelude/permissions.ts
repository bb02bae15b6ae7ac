/**
 * Takes permissions away from cells. The stock kernel allows everything and knows no flags; Deno itself has the means, made
 * for its tests, and nothing that a cell can do gives back what was taken.
 */

import { PERMISSIONS, type Permissions } from "./bridge.ts";
import { denoInternals } from "./internals.ts";
import { Deno, Error, Object } from "../natives.ts";

/** Leaves what is allowed. Throws where this Deno has no such means. */
export function restrict(permissions: Permissions): void {
  const pledge = denoInternals().ops.op_pledge_test_permissions;
  if (typeof pledge !== "function") {
    throw new Error("restrict: this version of Deno cannot restrict a kernel, expected one that can");
  }
  pledge(Object.fromEntries(PERMISSIONS.map((kind) => [kind, permissions[kind] ?? false])));
  for (const kind of PERMISSIONS) {
    if (permissions[kind] === true) continue;
    const { state } = Deno.permissions.querySync({ name: kind } as Deno.PermissionDescriptor);
    if (state === "granted") throw new Error(`restrict: ${kind} is still allowed`);
  }
}
