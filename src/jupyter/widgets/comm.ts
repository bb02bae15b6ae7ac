/**
 * Comms for libraries of one's own: lines between an object in the kernel and one in the page.
 */

import { describe, InputError } from "../../base/errors.ts";
import type { Comm, CommMessage, CommParts, CommTarget } from "../../kernel/prelude/bridge.ts";
import type { JsonObject } from "../../kernel/protocol/message.ts";
import { kernelBridge } from "./kernel_bridge.ts";

export type { Comm, CommMessage, CommParts, CommTarget, JsonObject };

/**
 * Opens a comm to the front end.
 *
 * @param target The name that the front end knows the kind of object by.
 * @param data What the other end is told first.
 * @throws {InputError} When the target is no text, or this is no kernel that hears its front end.
 *
 * @example
 * ```ts ignore
 * import { openComm } from "@attune/attention/widgets";
 *
 * const comm = openComm("my-plot", { rows: 3 });
 * comm.onMessage = ({ data }) => console.log(data);
 * comm.send({ color: "red" });
 * ```
 */
export function openComm(target: string, data: JsonObject = {}, parts: CommParts = {}): Comm {
  return bridgeFor("openComm", target).openComm(target, data, parts);
}

/**
 * Says who takes comms of a kind that the front end opens.
 *
 * @throws {InputError} When the target is no text, `take` no function, or this is no kernel that hears its front end.
 *
 * @example
 * ```ts ignore
 * import { onComm } from "@attune/attention/widgets";
 *
 * onComm("my-plot", (comm, { data }) => comm.send({ welcome: data }));
 * ```
 */
export function onComm(target: string, take: CommTarget): void {
  const bridge = bridgeFor("onComm", target);
  if (typeof take !== "function") throw new InputError("onComm", `take is ${describe(take)}`, "a function");
  bridge.registerTarget(target, take);
}

function bridgeFor(operation: string, target: unknown) {
  if (typeof target !== "string" || target === "") {
    throw new InputError(operation, `target is ${describe(target)}`, "a text");
  }
  const bridge = kernelBridge();
  if (bridge) return bridge;
  throw new InputError(operation, "this kernel does not hear its front end", 'the kernel "Deno (Attune)"');
}
