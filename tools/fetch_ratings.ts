// `deno task ratings`: fetches the ratings of MovieLens for notebooks/06_recommendation.ipynb and puts them in
// notebooks/data/, where git ignores them. From GroupLens where there is a network, else from Debian's package r-cran-dslabs,
// which R reads; `--from=grouplens` and `--from=debian` ask for one of them. Both are called small, and they are different samples: the
// outputs of the notebook are those of Debian's, 100,004 ratings.

import { takeArguments } from "../studies/command_line.ts";
import { formatRatings, type RatingData, RATINGS_FILE } from "../studies/recommendation/ratings.ts";
import { readRTable, readZipText } from "./ratings/archives.ts";
import { fromDslabs, fromTables } from "./ratings/movielens.ts";

const ARCHIVE = "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip";
const PACKAGE = "r-cran-dslabs", DATA = "usr/lib/R/site-library/dslabs/data/";
const PATIENCE_MS = 60_000;

async function fromGroupLens(): Promise<RatingData> {
  const response = await fetch(ARCHIVE, { signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return fromTables(readZipText(bytes, "/movies.csv"), readZipText(bytes, "/ratings.csv"));
}

async function fromDebian(): Promise<RatingData> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder, "apt-get", "download", "-qq", PACKAGE);
    const [archive] = [...Deno.readDirSync(folder)].map(({ name }) => name);
    await run(folder, "dpkg-deb", "-x", archive, "unpacked");
    return fromDslabs(await readRTable(`${folder}/unpacked/${DATA}`, "movielens"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(cwd: string, program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, cwd, stdout: "null" }).output();
  if (!success) throw new Error(`${program} ends with "${new TextDecoder().decode(stderr).trim()}"`);
}

const SOURCES = { grouplens: fromGroupLens, debian: fromDebian };

async function main(): Promise<void> {
  const { values: { from: wanted } } = takeArguments({
    task: "ratings",
    about: "Fetches the ratings of MovieLens for the notebooks 06 and 08.",
    options: {
      from: {
        type: "string",
        value: "SOURCE",
        about: "grouplens or debian; the first that answers unless given",
      },
    },
  });
  const failures: string[] = [];
  for (const [name, source] of Object.entries(SOURCES)) {
    if (wanted !== undefined && wanted !== name) continue;
    try {
      const data = await source();
      await Deno.writeTextFile(RATINGS_FILE, formatRatings(data));
      console.log(
        `${data.ratings.length} ratings of ${data.films.length} films, from ${name}, are in ${RATINGS_FILE.pathname}`,
      );
      return;
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
    }
  }
  console.error(failures.length > 0 ? failures.join("\n") : `--from=${wanted}, expected grouplens or debian`);
  Deno.exit(1);
}

if (import.meta.main) await main();
