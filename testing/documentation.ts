// The pages of the documentation as tests see them: which there are, and the code blocks in them.

const ROOT = new URL("../", import.meta.url);

/** A fenced block of a page. */
export interface Block {
  /** The first word after the fence, "ts" or "sh". */
  readonly language: string;
  /** What follows it: the name of the file that the block is, or words such as `ignore`. */
  readonly title: string;
  readonly text: string;
  /** The second-level heading above it; "" above the first. */
  readonly section: string;
}

/** Paths of the pages that git knows or would know, from the root. */
export async function listPages(): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd: ROOT,
  }).output();
  const paths = new TextDecoder().decode(stdout).split("\n").filter((path) => path !== "");
  const isThere = await Promise.all(
    paths.map((path) => Deno.stat(new URL(path, ROOT)).then(() => true, () => false)),
  );
  return paths.filter((_, at) => isThere[at]).sort();
}

/** The text of a page. */
export function readPage(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** The fenced blocks of a page, in order. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  let section = "", open: { language: string; title: string; lines: string[] } | null = null;
  for (const line of markdown.split("\n")) {
    const fence = /^```(\S*) ?(.*)$/.exec(line);
    if (open === null && fence) open = { language: fence[1], title: fence[2], lines: [] };
    else if (open !== null && fence) {
      const { language, title, lines } = open;
      blocks.push({ language, title, text: lines.map((text) => text + "\n").join(""), section });
      open = null;
    } else if (open !== null) open.lines.push(line);
    else section = /^## (.+)$/.exec(line)?.[1] ?? section;
  }
  return blocks;
}
