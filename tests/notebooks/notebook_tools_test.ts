// What the task that runs notebooks makes of messages, files and differences.

import { createMessage, type JsonObject } from "../../src/kernel/protocol/message.ts";
import { differences } from "../../tools/notebooks/compare.ts";
import { type Cell, formatNotebook, type Notebook, parseNotebook } from "../../tools/notebooks/document.ts";
import { CellError, executeNotebook } from "../../tools/notebooks/execute.ts";
import { missingData } from "../../tools/notebooks/local_data.ts";
import { OutputCollector } from "../../tools/notebooks/outputs.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../testing/assert.ts";

const message = (type: string, content: JsonObject) => createMessage("kernel", type, content);
const stream = (name: string, text: string) => message("stream", { name, text });
const display = (text: string, id?: string, type = "display_data") =>
  message(type, { data: { "text/plain": text }, metadata: {}, transient: id ? { display_id: id } : {} });

function code(source: string, fields: Partial<Cell> = {}): Cell {
  return { cell_type: "code", metadata: {}, source, execution_count: null, outputs: [], ...fields };
}

function notebook(...cells: Cell[]): Notebook {
  return { cells, metadata: {}, nbformat: 4, nbformat_minor: 4 };
}

Deno.test("outputs: neighbouring pieces of a stream are one, others are not", () => {
  const collector = new OutputCollector(1);
  for (const piece of [stream("stdout", "a"), stream("stdout", "b\n"), stream("stderr", "c"), display("d")]) {
    collector.take(0, piece);
  }
  collector.take(0, stream("stderr", "e"));
  assertEquals(collector.of(0), [
    { output_type: "stream", name: "stdout", text: "ab\n" },
    { output_type: "stream", name: "stderr", text: "c" },
    { output_type: "display_data", data: { "text/plain": "d" }, metadata: {} },
    { output_type: "stream", name: "stderr", text: "e" },
  ]);
});

Deno.test("outputs: a display is updated wherever it is shown, and only there", () => {
  const collector = new OutputCollector(2);
  collector.take(0, display("one", "x"));
  collector.take(0, display("other", "y"));
  collector.take(1, display("one", "x"));
  collector.take(1, display("two", "x", "update_display_data"));
  collector.take(1, display("nobody", "z", "update_display_data"));
  const texts = [0, 1].map((cell) =>
    collector.of(cell).map(({ data }) => (data as Record<string, string>)["text/plain"])
  );
  assertEquals(texts, [["two", "other"], ["two"]]);
});

Deno.test("outputs: what is cleared is gone, at once or when something else comes", () => {
  const collector = new OutputCollector(1);
  collector.take(0, display("one"));
  collector.take(0, message("clear_output", { wait: false }));
  assertEquals(collector.of(0).length, 0);
  collector.take(0, display("two"));
  collector.take(0, message("clear_output", { wait: true }));
  assertEquals(collector.of(0).length, 1);
  collector.take(0, stream("stdout", "three"));
  assertEquals(collector.of(0), [{ output_type: "stream", name: "stdout", text: "three" }]);
});

Deno.test("document: written in one form, which reading and writing leaves as it is", () => {
  const cell = code("a\nb", {
    metadata: { tags: ["x"], execution: { "iopub.status.busy": "2026" }, scrolled: true },
    execution_count: 1,
    outputs: [{
      output_type: "display_data",
      metadata: {},
      data: { "text/plain": "1\n2", "image/png": "AAAA\n", "application/json": { b: 1, a: [2] } },
    }],
  });
  const text = formatNotebook(notebook(cell));
  assertEquals(formatNotebook(parseNotebook(text)), text);
  const { cells: [written] } = JSON.parse(text);
  assertEquals(written.metadata, { tags: ["x"] });
  assertEquals(written.source, ["a\n", "b"]);
  assertEquals(written.outputs[0].data, {
    "text/plain": ["1\n", "2"],
    "image/png": "AAAA\n",
    "application/json": { a: [2], b: 1 },
  });
  assert(text.startsWith('{\n "cells": [\n  {\n   "cell_type": "code"') && text.endsWith("}\n"));
  assertThrows(() => parseNotebook('{ "nbformat": 3 }'), Error, "nbformat is 3");
});

Deno.test("compare: texts by their letters, pictures by their kinds, volatile cells by kinds alone", () => {
  const show = (data: Record<string, string>, fields: Partial<Cell> = {}) =>
    notebook(code("", { outputs: [{ output_type: "display_data", data, metadata: {} }], ...fields }));
  const one = show({ "text/plain": "1", "image/png": "AAAA" });
  assertEquals(differences(one, show({ "image/png": "BBBB", "text/plain": "1" })), []);
  assertEquals(differences(one, show({ "text/plain": "2", "image/png": "AAAA" })).length, 1);
  assertEquals(differences(one, show({ "text/plain": "1" })).length, 1);
  assertEquals(
    differences(one, show({ "text/plain": "1", "image/png": "A" }, { execution_count: 7 })).length,
    1,
  );
  const loose = { metadata: { tags: ["volatile"] } };
  assertEquals(differences(show({ "text/plain": "1" }, loose), show({ "text/plain": "2" }, loose)), []);
  assertEquals(differences(show({ "text/plain": "1" }, loose), show({ "text/html": "2" }, loose)).length, 1);
});

Deno.test("compare: where data is missing, all cells by the kinds of what they show", () => {
  const shows = (text: string, kind = "text/plain") =>
    notebook(code("1", { outputs: [{ output_type: "display_data", data: { [kind]: text } }] }));
  assertEquals(differences(shows("a"), shows("b"), true), []);
  assertEquals(differences(shows("a"), shows("b"), false).length, 1);
  assertEquals(differences(shows("a"), shows("a", "text/html"), true).length, 1);
});

Deno.test("local data: there, other than it was, or missing; a notebook that names none lacks none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const url = new URL(`file://${folder}/`);
    const naming = (sha256: string): Notebook => ({
      ...notebook(),
      metadata: { attune: { data: { file: "abc.txt", sha256 } } },
    });
    const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assertEquals(await missingData(notebook(), url), null);
    assertEquals(await missingData(naming(abc), url), "abc.txt is missing");
    await Deno.writeTextFile(new URL("abc.txt", url), "abc");
    assertEquals(await missingData(naming(abc), url), null);
    const other = await missingData(naming("00"), url);
    assertEquals(other, "abc.txt is other data than that of the committed outputs");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("execute: numbers, outputs, an error that may be, and one that may not", async () => {
  const folder = new URL("./", import.meta.url);
  const good = notebook(
    code("const x = 6;\nconsole.log(x)"),
    { cell_type: "markdown", metadata: {}, source: "text" },
    code("  "),
    code("throw new Error('wanted')", { metadata: { tags: ["raises-exception"] } }),
    code("x * 7"),
  );
  const { cells, metadata } = await executeNotebook(good, folder);
  assertEquals(cells.map(({ execution_count }) => execution_count), [1, undefined, null, 2, 3]);
  assertEquals(cells.map(({ outputs }) => outputs?.map(({ output_type }) => output_type)), [
    ["stream"],
    undefined,
    [],
    ["error"],
    ["execute_result"],
  ]);
  assertEquals((metadata.language_info as { name: string }).name, "typescript");
  const error = await assertRejects(() => executeNotebook(notebook(code("nobody")), folder), CellError);
  assert(error.message.startsWith("cell 0 ended with error: ReferenceError"), error.message);
});
