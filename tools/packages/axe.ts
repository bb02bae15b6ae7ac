// Finds what keeps people from using a page: contrast, names of controls, order of headings. Its source runs in the page.

import axe from "npm:axe-core@4.14.1";

/** The script that defines `axe` in a page. */
export const axeSource: string = axe.source;
