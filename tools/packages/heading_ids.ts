// Gives headings the anchors that hosts of repositories give them, for `marked`.

export { gfmHeadingId } from "npm:marked-gfm-heading-id@4.1.4";
