// The forms that the ratings come in, each made by hand: nothing is fetched.

import { parseCsv } from "deno-std/csv";
import { zipSync } from "fflate";
import { parseRatings, RATINGS_FILE } from "../../../studies/recommendation/ratings.ts";
import { fromDslabs, fromTables } from "../../../tools/ratings/movielens.ts";
import { readRTable, readZipText } from "../../../tools/ratings/archives.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../../testing/assert.ts";
import { findProgram, requires } from "../../../testing/requirements.ts";

const rscript = findProgram("Rscript");

Deno.test({
  name:
    "R: a frame of a package's files is a table; numbers, texts, factors and what is missing; a missing frame is named",
  ...requires("Rscript", rscript, "apt-get install r-base-core"),
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const program =
        `films <- data.frame(whole = c(7L, NA, 9L), real = c(0.5, 2, -3), text = c("a, b", NA, "ä"),
        factor = factor(c("Drama", NA, "Comedy|War"))); dir.create(file.path("${folder}", "data"))
        tools:::makeLazyLoadDB(list2env(list(films = films)), file.path("${folder}", "data", "Rdata"))`;
      const { success, stderr } = await new Deno.Command(rscript!, { args: ["--vanilla", "-e", program] })
        .output();
      assert(success, new TextDecoder().decode(stderr));
      assertEquals(parseCsv(await readRTable(`${folder}/data/`, "films")), [
        ["whole", "real", "text", "factor"],
        ["7", "0.5", "a, b", "Drama"],
        ["", "2", "", ""],
        ["9", "-3", "ä", "Comedy|War"],
      ]);
      await assertRejects(() => readRTable(`${folder}/data/`, "songs"), Error, "there is no songs");
      await assertRejects(() => readRTable(`${folder}/nowhere/`, "films"), Error, "Rscript: ");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("zip: a file is found by the end of its path, stored or deflated; what is none is refused", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const archive = zipSync({
    "small/a.csv": [bytes("stored"), { level: 0 }],
    "small/b.csv": bytes("deflated ".repeat(50)),
  });
  assertEquals(readZipText(archive, "/a.csv"), "stored");
  assertEquals(readZipText(archive, "/b.csv"), "deflated ".repeat(50));
  assertThrows(() => readZipText(archive, "/c.csv"), Error, "no /c.csv among small/a.csv, small/b.csv");
  assertThrows(() => readZipText(new Uint8Array(40), "/a.csv"), Error, "zip");
});

Deno.test("ratings: they are put where the notebook looks for them", async () => {
  const notebooks = new URL("../../../notebooks/", import.meta.url);
  const { metadata } = JSON.parse(await Deno.readTextFile(new URL("06_recommendation.ipynb", notebooks)));
  assertEquals(RATINGS_FILE.href, new URL(metadata.attune.data.file, notebooks).href);
});

Deno.test("MovieLens: both forms say the same, in the order of time", () => {
  const movies = 'movieId,title,genres\n30,"Night, The (1961)",Drama\n20,Nameless,(no genres listed)\n';
  const ratings = "userId,movieId,rating,timestamp\n2,30,4.5,300\n1,20,0.5,200\n1,30,5.0,300\n";
  const table = `movieId,year,genres,userId,rating,timestamp
30,1961,Drama,2,4.5,300
20,,(no genres listed),1,0.5,200
30,1961,Drama,1,5,300
`;
  const expected = {
    films: [{ year: null, genres: [] }, { year: 1961, genres: ["Drama"] }],
    ratings: [
      { user: 1, film: 0, stars: 0.5, time: 200 },
      { user: 1, film: 1, stars: 5, time: 300 },
      { user: 2, film: 1, stars: 4.5, time: 300 },
    ],
  };
  assertEquals(fromTables(movies, ratings), expected);
  assertEquals(fromDslabs(table), expected);
  assertThrows(() => fromDslabs("a,b\n1,2\n"), Error, "there is no movieId among a, b");
  assertThrows(
    () => parseRatings('{"films":[],"users":[1],"rated":[],"halfStars":[],"times":[]}'),
    Error,
    "columns",
  );
});
