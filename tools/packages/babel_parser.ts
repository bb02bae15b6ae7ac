// Parses TypeScript. The kernel parses cells with the same version.

export { parse } from "npm:@babel/parser@7.29.15";
