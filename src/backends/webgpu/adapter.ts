/**
 * Finds the graphics adapter, once per process: it takes up to a second when drivers have to be loaded.
 */

/** The result of the search, with a description. */
export interface AdapterFinding {
  readonly isFound: boolean;
  /** Whether the adapter is hardware, not software on the processor. */
  readonly isHardware: boolean;
  readonly description: string;
}

let finding: Promise<AdapterFinding> | null = null;

/** The adapter of this process. */
export function describeAdapter(): Promise<AdapterFinding> {
  return finding ??= look();
}

/** An adapter; null if there is none. */
export async function findAdapter(): Promise<GPUAdapter | null> {
  // Some runtimes have no navigator.
  const gpu = globalThis.navigator?.gpu;
  return gpu ? await gpu.requestAdapter({ powerPreference: "high-performance" }) : null;
}

/** The adapter's own name. */
export function nameOf({ info: { vendor, architecture, description } }: GPUAdapter): string {
  return description || [vendor, architecture].filter((name) => name !== "").join(" ") || "without a name";
}

/** Whether an adapter is software that computes on the processor. */
export function isSoftware({ info }: GPUAdapter): boolean {
  return info.isFallbackAdapter;
}

async function look(): Promise<AdapterFinding> {
  const adapter = await findAdapter();
  if (!adapter) return { isFound: false, isHardware: false, description: "no graphics adapter was found" };
  const isHardware = !isSoftware(adapter);
  const description = `the graphics adapter is ${nameOf(adapter)}${
    isHardware ? "" : ", a program on the processor"
  }`;
  return { isFound: true, isHardware, description };
}
