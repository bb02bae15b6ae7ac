// Reads Markdown.

export { Marked, type Token, type Tokens } from "npm:marked@18.2.1";
