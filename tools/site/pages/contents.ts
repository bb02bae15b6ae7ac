// Which pages the site has beside the playground, in the order in which it lists them.

const ROOT = new URL("../../../", import.meta.url);

/** A page, and where it comes from. */
export interface PageSource {
  /** Its path in the repository. */
  readonly source: string;
  /** Its path in the site. */
  readonly path: string;
  /** Its first heading. */
  readonly title: string;
  readonly text: string;
}

/** Pages that belong together. */
export interface Chapter {
  readonly title: string;
  readonly pages: readonly PageSource[];
}

const MEASURED = ["benchmarks", "applications"];

/**
 * The chapters. The guide and the pages of docs/ stand in the order in which the guide's own list names them. A page
 * that is named nowhere stands at the end of its chapter, by name; one of docs/ itself in the guide.
 */
export async function readContents(): Promise<Chapter[]> {
  const notebooks = (await list("notebooks/")).filter((name) => name.endsWith(".ipynb"));
  const guide = await read("docs/guide/README.md");
  const named = linkedNames(guide.text, "");
  const others = linkedNames(guide.text, "../").filter((name) => !MEASURED.includes(name));
  const pages = await pagesOf("docs/", [...MEASURED, ...others]);
  return [
    {
      title: "Guide",
      pages: [...await pagesOf("docs/guide/", ["README", ...named]), ...pages.slice(MEASURED.length)],
    },
    { title: "Measured", pages: pages.slice(0, MEASURED.length) },
    { title: "Notebooks", pages: await Promise.all(notebooks.map((name) => read(`notebooks/${name}`))) },
    { title: "Internals", pages: await pagesOf("docs/internals/", ["README", "design"]) },
    {
      title: "Project",
      pages: await Promise.all(
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "notebooks/data/NOTICE.md"].map(read),
      ),
    },
  ];
}

/** The names of the pages of one folder to which a text links, in its order: `[Concepts](concepts.md)`. */
function linkedNames(text: string, folder: string): string[] {
  const targets = [...text.matchAll(/\]\(([^)#]+)\.md[^)]*\)/g)].map(([, target]) => target);
  const names = targets.filter((target) => target.startsWith(folder)).map((target) =>
    target.slice(folder.length)
  );
  return [...new Set(names)].filter((name) => !name.includes("/"));
}

async function pagesOf(folder: string, first: readonly string[]): Promise<PageSource[]> {
  const names = (await list(folder)).filter((name) => name.endsWith(".md")).map((name) => name.slice(0, -3));
  const missing = first.filter((name) => !names.includes(name));
  if (missing.length > 0) throw new Error(`site: ${folder}${missing[0]}.md is not there, expected it`);
  const rest = names.filter((name) => !first.includes(name));
  return await Promise.all([...first, ...rest].map((name) => read(`${folder}${name}.md`)));
}

async function read(source: string): Promise<PageSource> {
  const text = await Deno.readTextFile(new URL(source, ROOT));
  return { source, path: sitePath(source), title: titleOf(source, text), text };
}

async function list(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(new URL(folder, ROOT))) if (isFile) names.push(name);
  return names.sort();
}

/** Where a file of the repository is in the site: docs/ is its root, and an index stands for a folder. */
export function sitePath(source: string): string {
  if (source === "README.md") return "project/index.html";
  const path = source.startsWith("docs/") ? source.slice("docs/".length) : source;
  const inProject = path.includes("/") ? path : source.startsWith("docs/") ? path : `project/${path}`;
  return inProject.replace(/(^|\/)README\.md$/, "$1index.html").replace(/\.(md|ipynb)$/, ".html");
}

function titleOf(source: string, text: string): string {
  const heading = source.endsWith(".ipynb") ? /"# ([^"\\]+)/ : /^# (.+)$/m;
  const title = heading.exec(text)?.[1];
  if (title === undefined) throw new Error(`site: ${source} has no heading, expected one`);
  return title.trim();
}
