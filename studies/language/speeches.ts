// The State of the Union speeches of 1981 to 2021, in order.

import { splitWords, type Words } from "./words.ts";

/** One speech. */
export interface Speech {
  readonly year: number;
  /** `Ronald Reagan`. */
  readonly president: string;
  /** Its sentences, as they are written. */
  readonly sentences: readonly string[];
}

const FOLDER = new URL("../../notebooks/data/sotu/", import.meta.url);
const NAME = /^(\d{4})_([a-z_]+)_[a-z]\.txt$/;
/** Shorter ones are headings and thanks. */
const LEAST_WORDS = 5;

/** Reads the speeches of the repository; needs read permission. */
export async function loadSpeeches(): Promise<Speech[]> {
  const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).sort();
  return await Promise.all(
    names.map(async (name) => toSpeech(name, await Deno.readTextFile(new URL(name, FOLDER)))),
  );
}

/**
 * A speech from the name of its file, `1982_ronald_reagan_r.txt`, and its text.
 *
 * @throws {Error} When the name is of another form.
 */
export function toSpeech(file: string, text: string): Speech {
  const parts = NAME.exec(file);
  if (!parts) throw new Error(`toSpeech: the file is "${file}", expected YEAR_name_party.txt`);
  const president = parts[2].split("_").map((part) => part[0].toUpperCase() + part.slice(1)).join(" ");
  return { year: Number(parts[1]), president, sentences: toSentences(text) };
}

/** Cuts where a mark that ends a sentence is followed by a space and a capital letter. */
export function toSentences(text: string): string[] {
  return text.replace(/\s+/g, " ").split(/(?<=[.?!]["”]?) (?=["“]?[A-Z])/).map((sentence) => sentence.trim())
    .filter((sentence) => splitWords(sentence).length >= LEAST_WORDS);
}

/** The first `limit` words of a speech, as numbers. */
export function wordsOf(speech: Speech, words: Words, limit: number): number[] {
  const found: number[] = [];
  for (const sentence of speech.sentences) {
    if (found.length >= limit) break;
    for (const word of splitWords(sentence)) found.push(words.numberOf(word));
  }
  return found.slice(0, limit);
}
