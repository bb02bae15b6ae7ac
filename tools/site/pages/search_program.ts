/// <reference lib="dom" />
// The search of the site, in the browser: titles, headings, words and public names. The index is fetched when the field is
// first used, by a script element, which also works on a page from a file.

import { MiniSearch } from "../../packages/minisearch.ts";

/** What is found. */
interface Entry {
  readonly id: number;
  readonly title: string;
  readonly page: string;
  readonly text: string;
  readonly path: string;
}

const base = new URL(".", (document.currentScript as HTMLScriptElement).src);
const field = document.querySelector<HTMLInputElement>("#search")!;
const list = document.querySelector<HTMLUListElement>("#found")!;
const status = document.querySelector("#found-count")!;
const MOST = 12;
let index: Promise<MiniSearch<Entry>> | null = null;

function loadIndex(): Promise<MiniSearch<Entry>> {
  index ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("search_index.js", base).href;
    script.onload = () => {
      const search = new MiniSearch<Entry>({
        fields: ["title", "page", "text"],
        storeFields: ["title", "page", "path", "text"],
        searchOptions: { boost: { title: 4, page: 2 }, prefix: true, fuzzy: 0.15, combineWith: "AND" },
      });
      search.addAll(Reflect.get(globalThis, "attuneSearchEntries") as Entry[]);
      resolve(search);
    };
    script.onerror = () => reject(new Error("the index could not be loaded"));
    document.head.append(script);
  });
  return index;
}

function item({ title, page, path, text }: Entry): HTMLLIElement {
  const link = document.createElement("a");
  link.href = new URL(path, base).href;
  const name = document.createElement("b"), where = document.createElement("span");
  name.textContent = title;
  where.textContent = page === title ? text.slice(0, 90) : `${page} · ${text.slice(0, 80)}`;
  link.append(name, where);
  const line = document.createElement("li");
  line.append(link);
  return line;
}

async function show(): Promise<void> {
  const query = field.value.trim();
  if (query === "") {
    list.replaceChildren();
    status.textContent = "";
    return;
  }
  const search = await loadIndex();
  if (query !== field.value.trim()) return;
  const found = search.search(query).slice(0, MOST) as unknown as Entry[];
  list.replaceChildren(...found.map(item));
  status.textContent = found.length === 0 ? "Nothing found" : `${found.length} found`;
}

field.addEventListener("focus", () => void loadIndex());
field.addEventListener("input", () => void show());
document.addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) {
    event.preventDefault();
    field.focus();
  } else if (event.key === "Escape" && (target === field || list.contains(target))) {
    field.value = "";
    void show();
    field.focus();
  } else if (
    (event.key === "ArrowDown" || event.key === "ArrowUp") && (target === field || list.contains(target))
  ) {
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(target as HTMLAnchorElement) + (event.key === "ArrowDown" ? 1 : -1);
    event.preventDefault();
    (links[at] ?? field).focus();
  }
});
