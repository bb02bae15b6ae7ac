// `deno task readers`: 2,000 readers over 50,000 items whose vectors learn from every click, on a board that stays
// current while it is looked at, exactly or, with --error=0.01, within that of exact; now and then everything is
// computed again, for comparison. On a terminal the board is drawn, one block per reader in the colour of the topic that suits them best.

import { takeArguments } from "./command_line.ts";
import { median } from "simple-statistics";
import { formatCount } from "../src/display/format.ts";
import { LARGE_WORLD, ReaderBoard } from "./readers/reader_board.ts";

const FRAME_MS = 1000 / 30;
/** Characters in a line of the board, two readers in each. */
const COLUMNS = 100;
/** The colours of topics, from the 256 of terminals. */
const COLORS = [33, 208, 36, 175, 220, 74, 130, 245];
/** The number of frames between two times that everything is computed again. */
const FRAMES_BETWEEN = 60;

/** The board as lines of half blocks. */
export function drawBoard(favourites: Uint8Array, columns = COLUMNS): string {
  const color = (at: number) => COLORS[favourites[at] % COLORS.length];
  const lines: string[] = [];
  for (let top = 0; top < favourites.length; top += 2 * columns) {
    let line = "";
    for (let at = top; at < Math.min(top + columns, favourites.length); at++) {
      const below = at + columns;
      line += below < favourites.length
        ? `\x1b[38;5;${color(at)}m\x1b[48;5;${color(below)}m▀`
        : `\x1b[0m\x1b[38;5;${color(at)}m▀`;
    }
    lines.push(`${line}\x1b[0m`);
  }
  return lines.join("\n");
}

/** The medians of a run in two lines, and the frames a second that they allow. */
export function verdict(kept: readonly number[], again: readonly number[], clicks: number): string {
  const tell = (name: string, times: readonly number[]) => {
    const ms = median([...times]);
    const rate = ms <= FRAME_MS ? "30 frames a second" : `${(1000 / ms).toPrecision(2)} frames a second`;
    const told = ms < 100 ? ms.toPrecision(3) : formatCount(ms);
    return `${name} ${told.padStart(6)} ms a frame: ${rate}`;
  };
  return `${tell(`kept current, ${clicks} clicks a frame`.padEnd(34), kept)}\n${
    tell("computed again by this engine".padEnd(34), again)
  }`;
}

if (import.meta.main) {
  const { values: { seconds, clicks, error } } = takeArguments({
    task: "readers",
    about:
      "A live board: 2,000 readers over 50,000 items that learn from each click, beside computing it again.",
    options: {
      seconds: { type: "string", value: "N", default: "20", about: "how long the board is shown" },
      clicks: { type: "string", value: "N", default: "16", about: "clicks before each frame" },
      error: { type: "string", value: "E", default: "0", about: "how far the board may be off, 0 for exact" },
    },
  });
  const [limit, each, off] = [seconds, clicks, error].map(Number);
  if (!(limit > 0 && Number.isInteger(each) && each > 0 && off >= 0)) {
    console.error(
      `readers: --seconds=${seconds} --clicks=${clicks} --error=${error}, expected a number and an integer above 0, ` +
        "and an error of 0 or more",
    );
    Deno.exit(2);
  }
  const isDrawn = Deno.stdout.isTerminal();
  const { readers, items } = LARGE_WORLD;
  console.log(`${formatCount(readers)} readers over ${formatCount(items)} items; building the board …`);
  await using board = await ReaderBoard.create(LARGE_WORLD, off);
  const kept: number[] = [], again: number[] = [];
  let rewritten = 0;
  if (isDrawn) console.log("\x1b[2J");
  for (const end = performance.now() + 1000 * limit; performance.now() < end;) {
    const start = performance.now();
    for (let click = 0; click < each; click++) board.click();
    rewritten += (await board.refresh()).length;
    kept.push(performance.now() - start);
    if (kept.length % FRAMES_BETWEEN === 1) {
      const start = performance.now();
      await board.again();
      again.push(performance.now() - start);
    }
    if (isDrawn) {
      console.log(`\x1b[H${drawBoard(board.favourites())}\n${verdict(kept, again, each)}\x1b[K`);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, FRAME_MS - kept[kept.length - 1])));
    }
  }
  if (!isDrawn) console.log(verdict(kept, again, each));
  console.log(
    `${formatCount(kept.length)} frames, ${formatCount(kept.length * each)} clicks; a frame rewrote ${
      formatCount(Math.round(rewritten / kept.length))
    } of ${formatCount(readers)} readers`,
  );
}
