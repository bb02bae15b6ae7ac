// `deno task npm`: writes the package for npm into npm/, as the tarball that `npm install FILE` takes. In a workflow of
// GitHub the package names the repository that the workflow runs in, which provenance asks for.

import { fileURLToPath } from "node:url";
import { takeArguments } from "../studies/command_line.ts";
import { buildPackage, SCRIPT } from "./npm/build.ts";

takeArguments({
  task: "npm",
  about: "Writes the package for npm: npm/attune-attention-VERSION.tgz.",
  options: {},
});
const server = Deno.env.get("GITHUB_SERVER_URL"), path = Deno.env.get("GITHUB_REPOSITORY");
const repository = server === undefined || path === undefined ? {} : { repository: `${server}/${path}` };
const folder = fileURLToPath(new URL("../npm/", import.meta.url)).replace(/\/$/, "");
const built = await buildPackage(folder, repository);
const kilobytes = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
console.log(
  `npm${built.tarball.slice(folder.length)}: ${kilobytes(built.tarballBytes)}, ${
    kilobytes(built.installedBytes)
  } installed; ${SCRIPT} in it: ${kilobytes(built.scriptBytes)}, ${
    kilobytes(built.scriptGzipBytes)
  } compressed`,
);
