// A search index that a page without a server can use.

export { default as MiniSearch, type SearchResult } from "npm:minisearch@7.2.0";
