/**
 * The program of a durable folder: looks at it, checks it, copies it, makes it small.
 *
 *     deno run -A jsr:@attune/attention/durable inspect|verify|backup|compact FOLDER [TARGET] [--json]
 */

import { AttentionError } from "../base/errors.ts";
import { type Backup, backupFolder } from "./backup.ts";
import { compactFolder, type Compaction } from "./compact.ts";
import { toDurabilityError } from "./store_errors.ts";
import { Folder } from "./folder.ts";
import { inspectFolder, type Inspection } from "./inspect.ts";
import type { Progress } from "./read_folder.ts";
import { type Verification, verifyFolder } from "./verify.ts";

export const HELP = `deno run -A jsr:@attune/attention/durable COMMAND FOLDER [TARGET] [--json]

  inspect FOLDER         what is in it: sizes, snapshots, records, clients
  verify FOLDER          reads all of it and names what is not as it was written; 1 when something is not
  backup FOLDER TARGET   copies it, also while an engine has it open, and checks what it copies
  compact FOLDER         takes a snapshot and removes what that makes needless; nobody may have it open
  --json                 prints one line of JSON, and no progress
  --help                 prints this`;

/** What a run prints, and its exit code. */
export interface CliResult {
  readonly code: number;
  readonly text: string;
  readonly json: unknown;
}

/** Longer work than this says how far it has come. */
const PROGRESS_EVERY_MS = 500;

/** Runs a command; prints, and returns the exit code: 0, 1 for damage or failure, 2 for a command line that means nothing. */
export async function main(args: readonly string[]): Promise<number> {
  const isJson = args.includes("--json");
  const words = args.filter((word) => word !== "--json");
  if (words.length === 0 || words.includes("--help") || words.includes("-h")) {
    console.log(HELP);
    return words.length === 0 ? 2 : 0;
  }
  const flag = words.find((word) => word.startsWith("-"));
  if (flag !== undefined) {
    console.error(`${flag} is unknown, expected --json or --help`);
    return 2;
  }
  const [command, folder, ...rest] = words;
  const wanted = command === "backup" ? 1 : 0;
  if (!COMMANDS.has(command) || folder === undefined || rest.length !== wanted) {
    console.error(HELP);
    return 2;
  }
  try {
    const { code, text, json } = await run(command, folder, rest[0] ?? "", isJson ? ignore : showProgress());
    console.log(isJson ? JSON.stringify(json) : text);
    return code;
  } catch (error) {
    const known = toDurabilityError(command, folder, error);
    if (!(known instanceof AttentionError)) throw error;
    if (isJson) console.log(JSON.stringify({ error: known.message, ...known }));
    else console.error(known.message);
    return 1;
  }
}

const COMMANDS: ReadonlySet<string> = new Set(["inspect", "verify", "backup", "compact"]);

async function run(
  command: string,
  path: string,
  target: string,
  onProgress: (progress: Progress) => void,
): Promise<CliResult> {
  const folder = new Folder(path);
  switch (command) {
    case "inspect": {
      const inspection = await inspectFolder(command, folder);
      return { code: 0, text: inspectionText(inspection), json: inspection };
    }
    case "verify": {
      const verification = await verifyFolder(command, folder, { deep: true, onProgress });
      const code = verification.problems.length > 0 ? 1 : 0;
      return { code, text: verificationText(verification), json: verification };
    }
    case "backup": {
      const backup = await backupFolder(command, folder, new Folder(target), onProgress);
      return { code: 0, text: backupText(backup, target), json: backup };
    }
    default: {
      const compaction = await compactFolder(command, folder, onProgress);
      return { code: 0, text: compactionText(compaction), json: compaction };
    }
  }
}

function inspectionText(found: Inspection): string {
  const { sequence, snapshots, records, recordBytes, fileBytes, clients, layout, keyCount, queryCount } =
    found;
  const { heads, kvHeads, headDim, valueDim } = layout;
  return [
    `edits        1 to ${sequence}`,
    `engine       ${keyCount} keys, ${queryCount} queries, heads ${heads} (${kvHeads}), d ${headDim}, dv ${valueDim}`,
    `ids          keys ${found.keyIds}, queries ${found.queryIds}`,
    `mask         ${found.mask}`,
    ...(found.metadata === null ? [] : [`metadata     ${JSON.stringify(found.metadata)}`]),
    ...(found.beside.count === 0
      ? []
      : [`beside rows  ${found.beside.count} contents, ${found.beside.bytes} bytes`]),
    `snapshots    ${
      snapshots.map((snapshot) => `${snapshot.sequence} (${snapshot.bytes} bytes)`).join(", ")
    }`,
    `records      ${records} behind the newest snapshot, ${recordBytes} bytes`,
    `clients      ${clients}`,
    `on disk      ${fileBytes} bytes`,
    `open         ${found.isOpen ? "by an owner" : "by nobody"}`,
  ].join("\n");
}

function verificationText({ problems, records, sequence, snapshots, bytes }: Verification): string {
  const lines = problems.map(({ file, sequence, what }) => {
    return `${file}${sequence === null ? "" : `, sequence ${sequence}`}: ${what}`;
  });
  const read = `${bytes} bytes read: ${records} records up to edit ${sequence}, snapshots ${
    snapshots.join(", ")
  }`;
  return [...lines, read, problems.length === 0 ? "all is as it was written" : `${problems.length} problems`]
    .join("\n");
}

function backupText({ sequence, records, bytes }: Backup, target: string): string {
  return `${target} has edits 1 to ${sequence}: a snapshot and ${records} records, ${bytes} bytes`;
}

function compactionText({ sequence, bytesBefore, bytesAfter }: Compaction): string {
  return `${bytesAfter} bytes, before ${bytesBefore}; edits 1 to ${sequence} are in one snapshot`;
}

/** Prints how far long work has come, on one line where that is a terminal. */
function showProgress(): (progress: Progress) => void {
  let next = performance.now() + PROGRESS_EVERY_MS;
  return ({ what, done, total }) => {
    if (performance.now() < next || total === 0) return;
    next = performance.now() + PROGRESS_EVERY_MS;
    console.error(`${what}: ${Math.floor(100 * done / total)} % of ${total} bytes`);
  };
}

function ignore(): void {}
