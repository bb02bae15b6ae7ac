// Words as numbers: how a text is cut into words, and the GloVe vectors of the 10,000 most frequent ones.
//
// Invariant: word 0 … size − 1 are those of the list, `unknown` is every other word and has the vector 0; all
// other vectors have length 1, so that a product of two is the cosine of their angle.

const FOLDER = new URL("../../notebooks/data/", import.meta.url);
const DIMENSIONS = 100;
/** Words, the ends of words that GloVe counts as words of their own, numbers, and marks. */
const WORD =
  /[a-z]+(?=n['’]t\b)|n['’]t\b|['’](?:s|re|ve|ll|m|d)\b|[a-z]+(?:-[a-z]+)*|\d+(?:[.,]\d+)*|[.,:;?!]|--/g;

/** The words of a text in order, in lower case. */
export function splitWords(text: string): string[] {
  return (text.toLowerCase().match(WORD) ?? []).map((word) => word.replace("’", "'"));
}

/** A list of words with a vector each. */
export class Words {
  /** Numbers in a vector. */
  readonly dimensions: number;
  /** The number that stands for all words that are not in the list. */
  readonly unknown: number;
  readonly #names: readonly string[];
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #vectors: Float32Array<ArrayBuffer>;

  /**
   * `vectors` is row-major, one row per word, and is scaled to length 1 here.
   *
   * @throws {Error} When there are not as many vectors as words, or one has no direction.
   */
  constructor(names: readonly string[], vectors: ArrayLike<number>, dimensions: number) {
    if (vectors.length !== names.length * dimensions) {
      throw new Error(
        `Words: vectors have ${vectors.length} numbers, expected ${names.length} × ${dimensions}`,
      );
    }
    this.dimensions = dimensions;
    this.unknown = names.length;
    this.#names = names;
    this.#numbers = new Map(names.map((name, at) => [name, at]));
    this.#vectors = new Float32Array((names.length + 1) * dimensions);
    this.#vectors.set(vectors);
    for (let word = 0; word < names.length; word++) {
      if (!toUnit(this.vector(word))) {
        throw new Error(`Words: the vector of "${names[word]}" has no direction`);
      }
    }
  }

  /** How many words there are, the unknown one included. */
  get size(): number {
    return this.unknown + 1;
  }

  /** The number of a word. */
  numberOf(name: string): number {
    return this.#numbers.get(name) ?? this.unknown;
  }

  /** The word of a number. */
  nameOf(word: number): string {
    return this.#names[word] ?? "‹unknown›";
  }

  /** The vector of a word, a view. */
  vector(word: number): Float32Array<ArrayBuffer> {
    return this.#vectors.subarray(word * this.dimensions, (word + 1) * this.dimensions);
  }
}

/** Scales a vector to length 1 in place; false, and as it was, if it has no direction. */
export function toUnit(vector: Float32Array): boolean {
  let squares = 0;
  for (const number of vector) squares += number * number;
  if (!(squares > 0 && squares < Infinity)) return false;
  const scale = 1 / Math.sqrt(squares);
  for (let c = 0; c < vector.length; c++) vector[c] *= scale;
  return true;
}

/** The product of two vectors; of unit vectors, the cosine of their angle. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let c = 0; c < a.length; c++) sum += a[c] * b[c];
  return sum;
}

/** Reads the list and the vectors of the repository; needs read permission. */
export async function loadWords(): Promise<Words> {
  const [text, bytes] = await Promise.all([
    Deno.readTextFile(new URL("glove-10k-words.txt", FOLDER)),
    Deno.readFile(new URL("glove-10k-100d.f16", FOLDER)),
  ]);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const vectors = Float32Array.from(
    { length: bytes.byteLength / 2 },
    (_, at) => view.getFloat16(2 * at, true),
  );
  return new Words(text.split("\n").filter((line) => line !== ""), vectors, DIMENSIONS);
}
