// Typed arrays of numbers on record: which of those that some code made are still held by somebody.

import v8 from "node:v8";
import vm from "node:vm";

/** An array that may hold numbers of the caller's. */
export type NumberArray = Float32Array | Float64Array;

/** The answer of a run, and the arrays made by it that were not collected as garbage afterwards. */
export interface HeldArrays<T> {
  readonly kept: T;
  readonly held: readonly NumberArray[];
}

/**
 * Runs something and collects garbage afterwards. Arrays count whose maker, the innermost module of the
 * project that was running, has a path that `isAbout` passes. Nothing else may run meanwhile.
 */
export async function arraysHeldAfter<T>(
  run: () => Promise<T>,
  isAbout: (path: string) => boolean,
): Promise<HeldArrays<T>> {
  v8.setFlagsFromString("--expose-gc");
  const collect: () => void = vm.runInNewContext("gc");
  const made: WeakRef<NumberArray>[] = [];
  const undo = (["Float32Array", "Float64Array"] as const).map((name) => {
    const plain = globalThis[name];
    const watched = new Proxy(plain, {
      construct(target, given, newTarget) {
        const array: NumberArray = Reflect.construct(target, given, newTarget);
        if (isAbout(makerOf(new Error().stack))) made.push(new WeakRef(array));
        return array;
      },
    });
    // Copies by `slice`, `map` and the like ask their array for its constructor.
    const become = (constructor: typeof plain) => {
      Object.assign(globalThis, { [name]: constructor });
      Object.defineProperty(plain.prototype, "constructor", { value: constructor });
    };
    become(watched);
    return () => become(plain);
  });
  try {
    const kept = await run();
    for (let turn = 0; turn < 2; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      collect();
    }
    return { kept, held: made.flatMap((reference) => reference.deref() ?? []) };
  } finally {
    for (const one of undo) one();
  }
}

/** The path of the innermost module of a stack, this one left out. */
function makerOf(stack = ""): string {
  const modules = stack.match(/file:\/\/[^\s:)]+/g) ?? [];
  return modules.find((path) => path !== import.meta.url) ?? "";
}
