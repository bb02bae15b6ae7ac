// The forms that the ratings come in, each made by hand: nothing is fetched.

import { parseRatings } from "../../../studies/recommendation/ratings.ts";
import { fromDataFrame, fromTables } from "../../../tools/ratings/movielens.ts";
import { readDataFrame, readValue, toDataFrame } from "../../../tools/ratings/r_data_frame.ts";
import { readZipText } from "../../../tools/ratings/zip.ts";
import { assertEquals, assertRejects, assertThrows } from "../../../testing/assert.ts";

/** R's XDR form, as far as data frames need it. */
class RWriter {
  readonly #bytes: number[] = [];

  constructor(version: 2 | 3) {
    this.#bytes.push(88, 10);
    this.int(version, 0x40000, 0x30500);
    if (version === 3) this.int(5).raw(...new TextEncoder().encode("UTF-8"));
  }

  raw(...bytes: number[]): this {
    this.#bytes.push(...bytes);
    return this;
  }

  int(...numbers: number[]): this {
    for (const number of numbers) {
      this.raw(number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255);
    }
    return this;
  }

  text(text: string | null): this {
    const bytes = new TextEncoder().encode(text ?? "");
    return this.int(9, text === null ? -1 : bytes.length).raw(...bytes);
  }

  texts(...texts: (string | null)[]): this {
    this.int(16, texts.length);
    texts.forEach((text) => this.text(text));
    return this;
  }

  reals(...numbers: number[]): this {
    const view = new DataView(new ArrayBuffer(8 * numbers.length));
    numbers.forEach((number, at) => view.setFloat64(8 * at, number));
    return this.int(14, numbers.length).raw(...new Uint8Array(view.buffer));
  }

  /** A cell of a list of pairs, its name written out. */
  name(name: string): this {
    return this.int(1026, 1).text(name);
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes);
  }
}

const NIL = 254, NA = -(2 ** 31);

Deno.test("R: whole numbers, reals, texts, factors and what is missing in them, of both versions", () => {
  for (const version of [2, 3] as const) {
    const writer = new RWriter(version).int(19 | 512, 4);
    writer.int(13, 3, 7, NA, 9).reals(0.5, 2, -3).texts("a", null, "ä");
    writer.int(13 | 512, 3, 2, NA, 1).name("levels").texts("Drama", "Comedy|War").int(NIL);
    writer.name("names").texts("whole", "real", "text", "factor").int(NIL);
    assertEquals([...toDataFrame(readValue(writer.bytes))], [
      ["whole", [7, null, 9]],
      ["real", [0.5, 2, -3]],
      ["text", ["a", null, "ä"]],
      ["factor", ["Comedy|War", null, "Drama"]],
    ]);
  }
});

Deno.test("R: a name that is written once is referred to afterwards, and a run is stored as its ends", () => {
  const writer = new RWriter(3).int(19 | 512, 2);
  writer.int(13 | 512, 1, 1).name("levels").texts("x").int(NIL);
  // A run: about it, a list of pairs with its kind as a symbol, then length, first and step, then no attributes.
  writer.int(238).int(2, 1).text("compact_intseq").int(NIL).reals(3, 5, 1).int(NIL);
  // The second reference is the kind of run.
  writer.int(1026, 1).text("names").texts("factor", "run").int(NIL);
  assertEquals([...toDataFrame(readValue(writer.bytes))], [["factor", ["x"]], ["run", [5, 6, 7]]]);
  const again = new RWriter(2).int(19 | 512, 1).int(13 | 512, 1, 1).name("names").texts("inner").int(NIL);
  again.int(1026, 255 | 1 << 8).texts("outer").int(NIL);
  assertEquals([...toDataFrame(readValue(again.bytes)).keys()], ["outer"]);
});

Deno.test("R: another form, an unknown type, and what is no data frame are refused by name", () => {
  assertThrows(() => readValue(new TextEncoder().encode("A\n1234567890123456")), Error, 'the form is "A\\n"');
  assertThrows(() => readValue(new RWriter(2).int(3).bytes), Error, "a value has the type 3");
  assertThrows(() => toDataFrame(readValue(new RWriter(2).reals(1).bytes)), Error, "the value is no list");
});

Deno.test("R: a frame is found in a package's files, and a missing one is named", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const url = new URL(`file://${folder}/`);
    const packed = await deflated(
      new RWriter(2).int(19 | 512, 1).reals(4).name("names").texts("x").int(NIL).bytes,
      "deflate",
    );
    const stored = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, ...packed]);
    const index = new RWriter(2).int(19 | 512, 1).int(19 | 512, 1).int(13, 2, 4, stored.length - 4);
    index.name("names").texts("films").int(NIL).int(1026, 255 | 1 << 8).texts("variables").int(NIL);
    await Deno.writeFile(new URL("Rdata.rdb", url), stored);
    await Deno.writeFile(new URL("Rdata.rdx", url), await deflated(index.bytes, "gzip"));
    assertEquals([...await readDataFrame(url, "films")], [["x", [4]]]);
    await assertRejects(() => readDataFrame(url, "songs"), Error, "there is no songs");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function deflated(
  bytes: Uint8Array<ArrayBuffer>,
  format: CompressionFormat,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** An archive of files, each stored or deflated. */
async function zip(files: readonly (readonly [name: string, text: string, method: number])[]) {
  const parts: number[] = [], directory: number[] = [];
  const short = (x: number) => [x & 255, x >> 8 & 255],
    long = (x: number) => [...short(x), ...short(x >>> 16)];
  for (const [name, text, method] of files) {
    const path = new TextEncoder().encode(name), bytes = new TextEncoder().encode(text);
    const packed = method === 8 ? await deflated(bytes, "deflate-raw") : bytes;
    const about = [
      ...short(20),
      ...short(0),
      ...short(method),
      ...long(0),
      ...long(0),
      ...long(packed.length),
    ]
      .concat(long(bytes.length), short(path.length), short(0));
    directory.push(
      ...long(0x02014b50),
      ...short(20),
      ...about,
      ...short(0),
      ...short(0),
      ...short(0),
      ...long(0),
    );
    directory.push(...long(parts.length), ...path);
    parts.push(...long(0x04034b50), ...about, ...path, ...packed);
  }
  const end = [...long(0x06054b50), ...short(0), ...short(0), ...short(files.length), ...short(files.length)];
  return Uint8Array.from(
    [...parts, ...directory, ...end, ...long(directory.length), ...long(parts.length), ...short(0)],
  );
}

Deno.test("zip: a file is found by the end of its path, stored or deflated; what is none is refused", async () => {
  const archive = await zip([["small/a.csv", "stored", 0], ["small/b.csv", "deflated ".repeat(50), 8]]);
  assertEquals(await readZipText(archive, "/a.csv"), "stored");
  assertEquals(await readZipText(archive, "/b.csv"), "deflated ".repeat(50));
  await assertRejects(
    () => readZipText(archive, "/c.csv"),
    Error,
    "no /c.csv among small/a.csv, small/b.csv",
  );
  await assertRejects(() => readZipText(new Uint8Array(40), "/a.csv"), Error, "expected a ZIP archive");
});

Deno.test("MovieLens: both forms say the same, in the order of time", () => {
  const movies = 'movieId,title,genres\n30,"Night, The (1961)",Drama\n20,Nameless,(no genres listed)\n';
  const ratings = "userId,movieId,rating,timestamp\n2,30,4.5,300\n1,20,0.5,200\n1,30,5.0,300\n";
  const frame = new Map([
    ["movieId", [30, 20, 30]],
    ["year", [1961, null, 1961]],
    ["genres", ["Drama", "(no genres listed)", "Drama"]],
    ["userId", [2, 1, 1]],
    ["rating", [4.5, 0.5, 5]],
    ["timestamp", [300, 200, 300]],
  ]);
  const expected = {
    films: [{ year: null, genres: [] }, { year: 1961, genres: ["Drama"] }],
    ratings: [
      { user: 1, film: 0, stars: 0.5, time: 200 },
      { user: 1, film: 1, stars: 5, time: 300 },
      { user: 2, film: 1, stars: 4.5, time: 300 },
    ],
  };
  assertEquals(fromTables(movies, ratings), expected);
  assertEquals(fromDataFrame(frame), expected);
  assertThrows(() => fromDataFrame(new Map()), Error, "there is no movieId");
  assertThrows(
    () => parseRatings('{"films":[],"users":[1],"rated":[],"halfStars":[],"times":[]}'),
    Error,
    "columns",
  );
});
