// Reads and writes ZIP archives.

export { unzipSync, zipSync } from "npm:fflate@0.8.3";
