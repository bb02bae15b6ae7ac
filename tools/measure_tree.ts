// `deno task measure`: counts what the tree is made of: lines and files a room, floors and arrows between rooms, long functions,
// long lists of parameters, tiny files. A folder may follow, a checkout of another revision to compare with.

import { takeArguments } from "../studies/command_line.ts";
import { arrowsBetween, floorsOf, listModules, readArrows, readRooms, roomOf } from "./tree/import_graph.ts";
import { functionsOf } from "./tree/long_functions.ts";

/** Functions longer than this are named, and lists of as many parameters, and files of as few lines. */
const LONG = 60, MANY = 7, TINY = 25;

const { rest: positionals } = takeArguments({
  task: "measure",
  about: "Counts the tree: lines and files a room, floors, arrows, long functions, tiny files.",
  options: {},
  rest: "FOLDER of another checkout",
});
const root = positionals.length > 0
  ? new URL(`${positionals[0].replace(/\/$/, "")}/`, `file://${Deno.cwd()}/`)
  : new URL("../", import.meta.url);

const rooms = await readRooms(root), modules = await listModules(root);
const names = [...rooms.map(({ name }) => name), "(no room)"];
const counts = names.map(() => ({ files: 0, lines: 0, tiny: 0, long: 0, many: 0 }));
const long: string[] = [];
for (const path of modules) {
  const source = await Deno.readTextFile(new URL(path, root));
  const lines = source.split("\n").length - 1;
  const count = counts.at(roomOf(path, rooms))!;
  count.files++;
  count.lines += lines;
  if (lines <= TINY) count.tiny++;
  if (path.endsWith(".js")) continue;
  for (const { name, line, lines, parameters } of functionsOf(source)) {
    if (lines > LONG) count.long++;
    if (parameters >= MANY) count.many++;
    if (lines <= LONG && parameters < MANY) continue;
    long.push(`${path}:${line} ${name || "a function"}: ${lines} lines, ${parameters} parameters`);
  }
}
const titles = ["files", "lines", `≤ ${TINY} lines`, `functions > ${LONG} lines`, `≥ ${MANY} parameters`];
const sums = counts.reduce((a, b) => ({
  files: a.files + b.files,
  lines: a.lines + b.lines,
  tiny: a.tiny + b.tiny,
  long: a.long + b.long,
  many: a.many + b.many,
}));
const width = Math.max(...names.map((name) => name.length));
console.log(["room".padEnd(width), ...titles].join("  "));
[...names, "all"].forEach((name, at) => {
  const cells = Object.values(at < counts.length ? counts[at] : sums);
  if (cells[0] === 0) return;
  console.log(
    [name.padEnd(width), ...cells.map((cell, at) => String(cell).padStart(titles[at].length))].join("  "),
  );
});
const pairs = arrowsBetween(await readArrows(root, modules), rooms);
const inSource = new Set(
  modules.filter((path) => path.startsWith("src/")).map((path) => roomOf(path, rooms)),
);
const published = pairs.filter((pair) => pair.every((room) => inSource.has(room)));
console.log(
  `\nall: ${new Set(modules.map((path) => roomOf(path, rooms))).size} rooms, ${floorsOf(pairs)} floors, ` +
    `${pairs.length} arrows; src: ${inSource.size} rooms, ${
      floorsOf(published)
    } floors, ${published.length} arrows\n`,
);
console.log(long.join("\n"));
