/**
 * Which graphics adapter there is, found once: asking takes a good part of a second where drivers load.
 */

/** The adapter that was found, in words too. */
export interface AdapterFinding {
  readonly isFound: boolean;
  /** Whether it is no program on the processor. */
  readonly isHardware: boolean;
  readonly description: string;
}

let finding: Promise<AdapterFinding> | null = null;

/** The adapter of this process. */
export function describeAdapter(): Promise<AdapterFinding> {
  return finding ??= look();
}

/** An adapter, or null where there is none. */
export async function findAdapter(): Promise<GPUAdapter | null> {
  // Not every place that runs this has a navigator.
  const gpu = globalThis.navigator?.gpu;
  return gpu ? await gpu.requestAdapter({ powerPreference: "high-performance" }) : null;
}

/** The name that an adapter gives itself. */
export function nameOf({ info: { vendor, architecture, description } }: GPUAdapter): string {
  return description || [vendor, architecture].filter((name) => name !== "").join(" ") || "without a name";
}

/** Whether an adapter computes on the processor. */
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
