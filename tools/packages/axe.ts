// Finds what keeps people from using a page: contrast, names of controls, order of headings. Its source runs in the page.

export { default as axe } from "npm:axe-core@4.14.1";
