// Importing the library and making a small engine, each time in a fresh process, and the bytes of its source.

import { fileURLToPath } from "node:url";
import type { FreshStart } from "../results.ts";
import { summarize } from "../statistics.ts";

const PROBE = fileURLToPath(new URL("probe.ts", import.meta.url));
const LIBRARY = fileURLToPath(new URL("../../mod.ts", import.meta.url));
const CONFIGURATION = fileURLToPath(new URL("../../deno.json", import.meta.url));

export async function measureFreshStart(runs: number): Promise<FreshStart> {
  // The first fills Deno's cache of transpiled modules.
  await probe();
  const samples: { importMs: number; createMs: number }[] = [];
  while (samples.length < runs) samples.push(await probe());
  return {
    importMs: summarize(samples.map(({ importMs }) => importMs), true),
    createMs: summarize(samples.map(({ createMs }) => createMs), true),
    ...await sourceSize(),
  };
}

async function probe(): Promise<{ importMs: number; createMs: number }> {
  return JSON.parse(await deno(["run", "--quiet", "--config", CONFIGURATION, "--allow-read", PROBE]));
}

interface Module {
  readonly specifier: string;
  readonly size?: number;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier: string };
    readonly isDynamic?: boolean;
  }[];
}

/**
 * The modules that an import of mod.ts loads, as they are written; what is loaded on demand is not among
 * them.
 */
export async function loadedModules(): Promise<{ readonly specifier: string; readonly size: number }[]> {
  const graph: { roots: string[]; modules: Module[] } = JSON.parse(
    await deno(["info", "--json", "--config", CONFIGURATION, LIBRARY]),
  );
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const loaded = new Set(graph.roots);
  // A set is walked to its end, what is added on the way included.
  for (const specifier of loaded) {
    for (const { code, isDynamic } of modules.get(specifier)?.dependencies ?? []) {
      if (code && !isDynamic) loaded.add(code.specifier);
    }
  }
  return Array.from(loaded, (specifier) => ({ specifier, size: modules.get(specifier)?.size ?? 0 }));
}

async function sourceSize(): Promise<{ sourceBytes: number; modules: number }> {
  const loaded = await loadedModules();
  return { sourceBytes: loaded.reduce((sum, { size }) => sum + size, 0), modules: loaded.length };
}

async function deno(args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`deno ${args[0]}: ${text.decode(stderr).trim()}`);
  return text.decode(stdout);
}
