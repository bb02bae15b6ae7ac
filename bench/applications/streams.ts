// The streams of edits and looks of the applications, each as one list that any engine can play. They are those
// of notebooks and studies: the same data, the same rows, the same looks.
//
// Invariant: a stream depends on its data alone, and slots are named as an engine with the stream's first rows
// names them, so that all engines that play it have the same rows after each step.

import { DynamicAttention, type DynamicAttentionOptions, type Edit } from "../../mod.ts";
import { loadBirths } from "../../studies/births.ts";
import { BoardRows, lastDayOf, QUERY_COUNT } from "../../studies/board_rows.ts";
import { toContexts } from "../../studies/language/contexts.ts";
import { toText } from "../../studies/language/next_word.ts";
import { loadSpeeches } from "../../studies/language/speeches.ts";
import { USUAL_SHAPE } from "../../studies/language/word_memory.ts";
import { loadWords } from "../../studies/language/words.ts";
import { loadDigits } from "../../studies/vision/digits.ts";
import { PatchGrid } from "../../studies/vision/patches.ts";
import { Scene } from "../../studies/vision/scene.ts";
import { toQuestions } from "../../studies/vision/visual_attention.ts";
import { Random } from "../../testing/random.ts";

/** Some edits, and the query slots that are looked at after them; all when null. */
export interface StreamStep {
  readonly edits: readonly Edit[];
  readonly rows: readonly number[] | null;
}

/** A stream. */
export interface Stream {
  readonly name: string;
  /** The first rows, and the scale. */
  readonly first: Pick<DynamicAttentionOptions, "query" | "key" | "value" | "scale">;
  readonly steps: readonly StreamStep[];
  /** Errors that are kept, in units of values. */
  readonly errors: readonly number[];
}

/** The forecast board of daily births: a day comes, a day goes, a query is replaced; all 56 rows are looked at. */
export async function birthsStream(count: number): Promise<Stream> {
  const rows = new BoardRows(await loadBirths()), first = { ...rows.ofState(0), scale: 1 };
  // This engine says in which slots keys come.
  await using live = await DynamicAttention.create({ ...first, backend: "array" });
  const keySlots = [...live.keySlots()], querySlots = [...live.querySlots()];
  const steps = Array.from({ length: count }, (_, at): StreamStep => {
    const day = lastDayOf(at + 1), slot = querySlots[at % QUERY_COUNT];
    const edits: Edit[] = [
      { kind: "delete", slot: keySlots[at] },
      { kind: "insert", key: rows.key(day), value: rows.value(day) },
      { kind: "setQuery", slot, query: rows.query(day + QUERY_COUNT) },
    ];
    keySlots.push(live.edit(edits)[1]);
    return { edits, rows: null };
  });
  return { name: "births", first, steps, errors: [0.003, 0.03] };
}

/** The memory of a text: a word takes the place of the oldest, one standing context is looked at. */
export async function languageStream(count: number): Promise<Stream> {
  const words = await loadWords(), contexts = toContexts(words, 320, 63);
  const { words: text, starts } = toText(await loadSpeeches(), words, 1000);
  const { length, singleColumns, sharedColumns } = USUAL_SHAPE, from = starts[20];
  const rowOf = (at: number) => {
    const word = text[at], value = new Float32Array(singleColumns + sharedColumns);
    value[word < singleColumns ? word : singleColumns + word % sharedColumns] = 1;
    return { key: words.vector(text[at - 1]), value };
  };
  const kept = Array.from({ length }, (_, at) => rowOf(from - length + at));
  return {
    name: "language",
    first: {
      query: [...contexts.queries],
      key: kept.map(({ key }) => key),
      value: kept.map(({ value }) => value),
      scale: USUAL_SHAPE.scale,
    },
    steps: Array.from({ length: count }, (_, at): StreamStep => ({
      edits: at === 0 ? [] : [{ kind: "set", slot: (at - 1) % length, ...rowOf(from + at - 1) }],
      rows: [contexts.ofWord[text[from + at - 1]]],
    })),
    errors: [0.03, 0.3],
  };
}

/** A digit that moves over clutter: patches that change are replaced, all questions are looked at. */
export async function visionStream(count: number): Promise<Stream> {
  const digits = await loadDigits(300, 100), questions = toQuestions(digits, 6);
  const scene = new Scene(digits.unseen, { size: 140, movers: 1, clutter: 8, changeAfter: 10, seed: 3 });
  const grid = new PatchGrid(scene.size);
  let before = scene.pixels();
  const rows = Array.from({ length: grid.count }, (_, patch) => grid.row(before, patch));
  const steps = Array.from({ length: count }, (): StreamStep => {
    scene.step();
    const pixels = scene.pixels(), changed = grid.changed(before, pixels);
    before = pixels;
    return { edits: changed.map((slot) => ({ kind: "set", slot, ...grid.row(pixels, slot) })), rows: null };
  });
  return {
    name: "vision",
    first: {
      query: [...questions.queries],
      key: rows.map(({ key }) => key),
      value: rows.map(({ value }) => value),
      scale: 40,
    },
    steps,
    errors: [0.5, 1.5],
  };
}

/** Normal numbers: a key and its value are replaced, all of 128 rows over 4,096 keys are looked at. */
export function randomStream(count: number): Stream {
  const random = new Random(11), dim = 64, keys = 4096;
  return {
    name: "random",
    first: { query: random.rows(128, dim), key: random.rows(keys, dim), value: random.rows(keys, dim) },
    steps: Array.from({ length: count }, (): StreamStep => ({
      edits: [{
        kind: "set",
        slot: random.below(keys),
        key: random.rows(1, dim)[0],
        value: random.rows(1, dim)[0],
      }],
      rows: null,
    })),
    errors: [0.05],
  };
}
