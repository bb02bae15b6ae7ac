// Reads a data frame out of the lazy-load database of an R package: `Rdata.rdx` says where in `Rdata.rdb` an object lies,
// and both are compressed serializations in R's XDR form (R Internals, "Serialization Formats").
//
// Only what data frames are made of is known; anything else is refused by its type.

/** A column: numbers, or texts (those of a factor are its levels); null where R has NA. */
export type Column = readonly (number | string | null)[];

/** A list, with names and other attributes. */
interface RList {
  readonly items: readonly RValue[];
  readonly attributes: ReadonlyMap<string, RValue>;
}
type RValue = null | string | number | Column | RList;

const TYPE = {
  symbol: 1,
  pairs: 2,
  text: 9,
  logical: 10,
  integer: 13,
  real: 14,
  texts: 16,
  list: 19,
  altRep: 238,
  persistent: 247,
  global: 253,
  nil: 254,
  reference: 255,
} as const;
const HAS_ATTRIBUTES = 512, HAS_TAG = 1024;
const NA_INTEGER = -(2 ** 31);

/**
 * The columns of the data frame `name` in a package's folder `data`, by their names; needs read permission.
 *
 * @throws {Error} When there is none, or it is made of something that is not known here.
 */
export async function readDataFrame(folder: URL, name: string): Promise<Map<string, Column>> {
  const index = await inflate(await Deno.readFile(new URL("Rdata.rdx", folder)), "gzip");
  const places = fieldOf(readValue(index), "variables");
  const place = fieldOf(places, name);
  if (!isColumn(place) || place.length !== 2) {
    throw new Error(`readDataFrame: there is no ${name} in ${folder.pathname}`);
  }
  const [offset, length] = place.map(Number);
  const packed = (await Deno.readFile(new URL("Rdata.rdb", folder))).slice(offset, offset + length);
  // The first four bytes say how long the rest is when it is inflated.
  return toDataFrame(readValue(await inflate(packed.slice(4), "deflate")));
}

/** The value of a serialization. */
export function readValue(bytes: Uint8Array): RValue {
  return new Reader(bytes).read();
}

/** The columns of a data frame, by their names. */
export function toDataFrame(value: RValue): Map<string, Column> {
  if (!isList(value)) throw new Error("readDataFrame: the value is no list, expected a data frame");
  const names = value.attributes.get("names");
  if (!isColumn(names)) throw new Error("readDataFrame: the list has no names, expected a data frame");
  return new Map(value.items.map((item, at) => [String(names[at]), toColumn(item)]));
}

function fieldOf(value: RValue, name: string): RValue {
  if (!isList(value)) return null;
  const names = value.attributes.get("names");
  return isColumn(names) ? value.items[names.indexOf(name)] ?? null : null;
}

function isList(value: RValue | undefined): value is RList {
  return typeof value === "object" && value !== null && "items" in value;
}

function isColumn(value: RValue | undefined): value is Column {
  return Array.isArray(value);
}

/** A factor is a vector of codes, from 1 on, with levels. */
function toColumn(value: RValue): Column {
  if (isColumn(value)) return value;
  const codes = isList(value) ? value.items[0] : null;
  if (!isList(value) || !isColumn(codes)) throw new Error("readDataFrame: a column is no vector");
  const levels = value.attributes.get("levels");
  return isColumn(levels) ? codes.map((code) => code === null ? null : levels[Number(code) - 1]) : codes;
}

async function inflate(bytes: Uint8Array<ArrayBuffer>, format: CompressionFormat): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Reader {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  /** Symbols and the like are written once and then referred to by number. */
  readonly #references: RValue[] = [];
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): RValue {
    const form = String.fromCharCode(...this.#bytes.subarray(0, 2));
    if (form !== "X\n") {
      throw new Error(`readDataFrame: the form is ${JSON.stringify(form)}, expected "X\\n", XDR`);
    }
    this.#at = 2;
    const version = this.#integer();
    // The versions of R that wrote it and that can read it; from version 3 on also the native encoding.
    this.#at += 8;
    const encoding = version === 3 ? this.#integer() : 0;
    this.#at += encoding;
    return this.#value();
  }

  #value(): RValue {
    const flags = this.#integer(), type = flags & 255, hasAttributes = (flags & HAS_ATTRIBUTES) !== 0;
    switch (type) {
      case TYPE.nil:
      case TYPE.global:
        return null;
      case TYPE.reference:
        return this.#references[(flags >> 8) - 1];
      case TYPE.symbol:
        return this.#keep(this.#value());
      case TYPE.persistent:
        this.#integer();
        return this.#keep(this.#list(() => this.#value(), false));
      case TYPE.text:
        return this.#text();
      case TYPE.logical:
      case TYPE.integer:
        return this.#vector(() => {
          const number = this.#integer();
          return number === NA_INTEGER ? null : number;
        }, hasAttributes);
      case TYPE.real:
        return this.#vector(() => this.#view.getFloat64((this.#at += 8) - 8), hasAttributes);
      case TYPE.texts:
        return this.#vector(() => this.#value() as string | null, hasAttributes);
      case TYPE.list:
        return this.#list(() => this.#value(), hasAttributes);
      case TYPE.pairs:
        return this.#pairs(flags);
      case TYPE.altRep:
        return this.#altRep();
      default:
        throw new Error(`readDataFrame: a value has the type ${type}, expected what data frames are made of`);
    }
  }

  #keep(value: RValue): RValue {
    this.#references.push(value);
    return value;
  }

  #text(): string | null {
    const length = this.#integer();
    if (length === -1) return null;
    return new TextDecoder().decode(this.#bytes.subarray(this.#at, this.#at += length));
  }

  /** A vector without attributes is a column; one with attributes is a list of that one column. */
  #vector(entry: () => number | string | null, hasAttributes: boolean): RValue {
    const column: Column = Array.from({ length: this.#integer() }, entry);
    return hasAttributes ? { items: [column], attributes: this.#attributes() } : column;
  }

  #list(entry: () => RValue, hasAttributes: boolean): RList {
    const items = Array.from({ length: this.#integer() }, entry);
    return { items, attributes: hasAttributes ? this.#attributes() : new Map() };
  }

  #attributes(): ReadonlyMap<string, RValue> {
    const pairs = this.#value();
    const names = isList(pairs) ? pairs.attributes.get("names") : null;
    if (!isList(pairs) || !isColumn(names)) throw new Error("readDataFrame: attributes are no list of pairs");
    return new Map(pairs.items.map((item, at) => [String(names[at]), item]));
  }

  /** A linked list: each cell says whether it has attributes and a name, and nil follows the last one. */
  #pairs(first: number): RList {
    const items: RValue[] = [], names: string[] = [];
    let flags = first;
    while ((flags & 255) === TYPE.pairs) {
      if (flags & HAS_ATTRIBUTES) this.#value();
      names.push(flags & HAS_TAG ? String(this.#value()) : "");
      items.push(this.#value());
      flags = this.#integer();
    }
    return { items, attributes: new Map([["names", names]]) };
  }

  /** A run of whole numbers is stored as length, first and step; other vectors may come wrapped. */
  #altRep(): RValue {
    const about = this.#value(), state = this.#value();
    this.#value();
    const name = isList(about) ? about.items[0] : null;
    if (name === "compact_intseq" && isColumn(state)) {
      const [length, first, step] = state.map(Number);
      return Array.from({ length }, (_, at) => first + at * step);
    }
    if (String(name).startsWith("wrap_") && isList(state)) return state.items[0];
    throw new Error(`readDataFrame: a vector is stored as ${name}, expected compact_intseq or wrap_…`);
  }

  #integer(): number {
    return this.#view.getInt32((this.#at += 4) - 4);
  }
}
