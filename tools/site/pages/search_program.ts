/// <reference lib="dom" />
// The search of the site, in the browser: titles, headings, words and public names. The index is fetched when the field is
// first used, by a script element, which also works on a page from a file.

import { MiniSearch, type SearchResult } from "../../packages/minisearch.ts";

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
/** Characters of a page's text that are shown with a result. */
const EXCERPT = 90;
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

/** The words around the first one that was found, from the start of a word on. */
function excerpt(text: string, terms: readonly string[]): string {
  const lower = text.toLowerCase();
  const places = terms.map((term) => lower.indexOf(term)).filter((place) => place >= 0);
  const first = places.length === 0 ? 0 : Math.min(...places);
  if (first < EXCERPT / 2) return text.slice(0, EXCERPT);
  return `… ${text.slice(text.indexOf(" ", first - EXCERPT / 3) + 1).slice(0, EXCERPT)}`;
}

function item({ title, page, path, text, terms }: SearchResult & Entry): HTMLLIElement {
  const link = document.createElement("a");
  link.href = new URL(path, base).href;
  const name = document.createElement("b"), where = document.createElement("span");
  name.textContent = title;
  const words = excerpt(text, terms);
  where.textContent = title.startsWith(page) ? words : `${page} · ${words}`;
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
  const found = search.search(query).slice(0, MOST) as (SearchResult & Entry)[];
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
