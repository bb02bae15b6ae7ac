// Which sources are mutated, and which of their mutants a run tries.

import { Random } from "../../testing/random.ts";
import type { Place } from "./arguments.ts";
import { type Mutation, mutationsOf } from "./mutations.ts";

/** A change of one file. */
export interface Mutant extends Mutation {
  /** The source, from the root. */
  readonly path: string;
}

/** Rooms whose faults are wrong answers. */
const ROOMS = ["engine", "schedule", "write", "backends", "learning", "store", "numerics", "cluster"];
/** Sources in another language, or generated. */
const LEFT_OUT = [
  /^src\/backends\/wasm\/(assembly\/|module\.ts)/,
  /^src\/backends\/webgpu\/kernels\//,
  // The oracle that judges the others.
  /^src\/numerics\/reference\.ts$/,
];

/** The mutants of all sources that the places name, by path and line. */
export async function findMutants(
  root: URL,
  paths: readonly string[],
  places: readonly Place[],
): Promise<Mutant[]> {
  const mutants: Mutant[] = [];
  for (const path of paths.filter(isMutated).sort()) {
    const own = places.filter((place) => path.startsWith(place.path));
    if (places.length > 0 && own.length === 0) continue;
    const isMeant = ({ line }: Mutation) => {
      return own.length === 0 || own.some((place) => place.line === null || place.line === line);
    };
    const source = await Deno.readTextFile(new URL(path, root));
    mutants.push(...mutationsOf(source).filter(isMeant).map((mutation) => ({ path, ...mutation })));
  }
  return mutants;
}

/** `count` of the mutants, drawn without replacement; the same seed draws the same. */
export function drawMutants(mutants: readonly Mutant[], count: number, seed: number): Mutant[] {
  const random = new Random(seed);
  const left = [...mutants];
  const drawn: Mutant[] = [];
  while (drawn.length < count && left.length > 0) drawn.push(...left.splice(random.below(left.length), 1));
  return drawn;
}

function isMutated(path: string): boolean {
  return ROOMS.some((room) => path.startsWith(`src/${room}/`)) && path.endsWith(".ts") &&
    !LEFT_OUT.some((pattern) => pattern.test(path));
}
