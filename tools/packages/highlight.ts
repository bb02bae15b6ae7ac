// Code in colours, for the pages of the site.

export { default as highlighter } from "npm:highlight.js@11.12.0/lib/common";
