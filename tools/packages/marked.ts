// Reads Markdown.

export { Marked, type Tokens } from "npm:marked@18.2.1";
