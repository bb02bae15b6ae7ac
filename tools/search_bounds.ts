// `deno task bounds`: searches for a program that breaks a bound or the accuracy of reads, as long as it is told, and cuts
// what it finds down to the smallest program that shows it.

import type { BackendName } from "../mod.ts";
import { type ProfileName, PROFILES } from "../testing/bounds/profiles.ts";
import { runProgram, type Violation } from "../testing/bounds/run_program.ts";
import { searchBounds } from "../testing/bounds/search.ts";
import { shrinkProgram, textOf } from "../testing/bounds/shrink_program.ts";

const HELP = `deno task bounds [--edits=N] [--backend=NAME] [--profile=NAME] [--seed=N]

  --edits=N       how many edits for each backend and profile; 1000000 unless given
  --backend=NAME  array, wasm or webgpu; array and wasm unless given
  --profile=NAME  ${PROFILES.join(", ")}; all unless given
  --seed=N        1 unless given`;

const NAMES = ["edits", "backend", "profile", "seed"];

if (import.meta.main) {
  const given: Record<string, string> = {};
  for (const arg of Deno.args) {
    const [, name, value] = /^--(\w+)=(.+)$/.exec(arg) ?? [];
    if (!NAMES.includes(name)) {
      console.log(HELP);
      Deno.exit(arg === "--help" || arg === "-h" ? 0 : 2);
    }
    given[name] = value;
  }
  const backends = given.backend ? [given.backend as BackendName] : ["array", "wasm"] as const;
  const profiles = given.profile ? [given.profile as ProfileName] : PROFILES;
  let broken = 0;
  for (const backend of backends) {
    for (const profile of profiles) {
      broken += await searchOne(backend, profile, Number(given.seed ?? 1), Number(given.edits ?? 1e6));
    }
  }
  Deno.exit(broken > 0 ? 1 : 0);
}

/** Searches, prints what was seen, and returns how many promises were broken. */
async function searchOne(
  backend: BackendName,
  profile: ProfileName,
  seed: number,
  edits: number,
): Promise<number> {
  const others: BackendName[] = backend === "webgpu" ? ["array", "wasm", "webgpu"] : ["array", "wasm"];
  const result = await searchBounds({ backend, others, profile, seed, edits });
  const { nearest, looseness, counts } = result;
  console.log(
    `${backend}, ${profile} numbers: ${result.edits} edits in ${result.programs} programs, ${result.rows} rows; ` +
      `distance at most ${nearest.bound.toFixed(9)} of the bound, ${
        nearest.slack.toPrecision(2)
      } roundings left; ` +
      `error at most ${nearest.accuracy.toFixed(3)} of the promise; bound over distance in the median ` +
      `${looseness.pending.toFixed(2)} with edits pending, ${looseness.settled.toFixed(1)} without, ${
        looseness.limited.toFixed(1)
      } so within an error, ` +
      `${looseness.followed.toFixed(1)} where rows are followed`,
  );
  for (const [promise, count] of Object.entries(counts)) {
    console.log(`  ${count} times broken: ${promise}; the smallest program:`);
    const { program } = result.broken.find(({ violation }) => violation.promise === promise)!;
    console.log(`  ${await smallest(program, promise as Violation["promise"])}`);
  }
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

async function smallest(
  program: Parameters<typeof runProgram>[0],
  promise: Violation["promise"],
): Promise<string> {
  const breaks = async (candidate: typeof program) => {
    const { violations } = await runProgram(candidate);
    return violations.some((violation) => violation.promise === promise);
  };
  const small = await shrinkProgram(program, breaks);
  const { violations } = await runProgram(small);
  const { step, found, allowed } = violations.find((violation) => violation.promise === promise)!;
  return `${found} where ${allowed} is allowed, step ${step} of ${textOf(small)}`;
}
