// What a process did to the files of a folder, in order, from the log of `strace -f -xx`: with the bytes of each write, so that
// the disk can be rebuilt as of any moment.

/** One thing that was done. Files are numbered as they are made, so that a renamed one stays itself. */
export type DiskEvent =
  | { readonly kind: "create"; readonly name: string; readonly file: number }
  | { readonly kind: "unlink"; readonly name: string; readonly file: number }
  | { readonly kind: "rename"; readonly from: string; readonly to: string; readonly file: number }
  | { readonly kind: "write"; readonly file: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly file: number; readonly length: number }
  | { readonly kind: "sync"; readonly file: number }
  | { readonly kind: "syncFolder" }
  /** The process said a line on its standard output. */
  | { readonly kind: "said"; readonly line: string };

const CALLS =
  "openat,close,dup,fcntl,lseek,write,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat";

/** The command that a program is run by so that `log` can be read. */
export function straceCommand(log: string): string[] {
  return ["strace", "-f", "-xx", "-s", "10000000", "-o", log, "-e", `trace=${CALLS}`];
}

/** Where a file descriptor points. */
interface Open {
  readonly file: number;
  offset: number;
}

const FOLDER = -1;

/** Reads a log of what was done in `folder`; files that were there have the numbers of their places in `existing`. */
export function readStraceLog(log: string, folder: string, existing: readonly string[] = []): DiskEvent[] {
  const events: DiskEvent[] = [], open = new Map<number, Open>();
  const names = new Map(existing.map((name, file) => [name, file]));
  const unfinished = new Map<string, string>();
  let files = existing.length;
  const nameOf = (path: string) => path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : null;
  for (const line of log.split("\n")) {
    const match = /^(\d+) +(.*)$/.exec(line);
    if (!match) continue;
    const [, process, text] = match;
    if (text.endsWith("<unfinished ...>")) {
      const begun = text.slice(0, -"<unfinished ...>".length), [, closed] = /^close\((\d+)/.exec(begun) ?? [];
      // Before its end is logged, what another thread opens may have the number.
      if (closed !== undefined) open.delete(Number(closed));
      else unfinished.set(process, begun);
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/s.exec(text);
    const whole = resumed ? (unfinished.get(process) ?? "") + resumed[1] : text;
    unfinished.delete(process);
    const call = /^(\w+)\((.*)\) += (-?\d+)/s.exec(whole);
    if (!call || Number(call[3]) < 0) continue;
    const [, name, list, answer] = call, args = argumentsOf(list), result = Number(answer);
    switch (name) {
      case "openat": {
        const path = textOf(args[1]);
        if (path === folder) open.set(result, { file: FOLDER, offset: 0 });
        const own = nameOf(path);
        if (own === null || own.endsWith("-shm")) break;
        let file = names.get(own);
        if (file === undefined) {
          file = files++;
          names.set(own, file);
          events.push({ kind: "create", name: own, file });
        }
        open.set(result, { file, offset: 0 });
        if (args[2].includes("O_TRUNC")) events.push({ kind: "truncate", file, length: 0 });
        break;
      }
      case "dup":
      case "fcntl": {
        // A duplicate shares its offset.
        const at = open.get(Number(args[0]));
        if (at && (name === "dup" || args[1].startsWith("F_DUPFD"))) open.set(result, at);
        break;
      }
      case "close":
        open.delete(Number(args[0]));
        break;
      case "lseek": {
        const at = open.get(Number(args[0]));
        if (at) at.offset = result;
        break;
      }
      case "write":
      case "pwrite64": {
        const at = open.get(Number(args[0]));
        if (args[0] === "1" && !at) {
          for (const said of textOf(args[1]).trim().split("\n")) events.push({ kind: "said", line: said });
        }
        if (!at || at.file === FOLDER) break;
        const offset = name === "write" ? at.offset : Number(args[3]);
        events.push({ kind: "write", file: at.file, offset, bytes: bytesOf(args[1]).subarray(0, result) });
        if (name === "write") at.offset += result;
        break;
      }
      case "ftruncate": {
        const at = open.get(Number(args[0]));
        if (at) events.push({ kind: "truncate", file: at.file, length: Number(args[1]) });
        break;
      }
      case "fsync":
      case "fdatasync": {
        const at = open.get(Number(args[0]));
        if (at) events.push(at.file === FOLDER ? { kind: "syncFolder" } : { kind: "sync", file: at.file });
        break;
      }
      case "rename":
      case "renameat":
      case "renameat2": {
        const paths = args.filter((arg) => arg.startsWith('"')).map(textOf);
        const from = nameOf(paths[0]), to = nameOf(paths[1]);
        if (from === null || to === null) break;
        const file = names.get(from) as number;
        names.delete(from);
        names.set(to, file);
        events.push({ kind: "rename", from, to, file });
        break;
      }
      case "unlink":
      case "unlinkat": {
        const own = nameOf(textOf(args.find((arg) => arg.startsWith('"')) as string));
        const file = own === null ? undefined : names.get(own);
        if (own === null || file === undefined) break;
        names.delete(own);
        events.push({ kind: "unlink", name: own, file });
        break;
      }
    }
  }
  return events;
}

/** Arguments hold no comma but between them: texts are hexadecimal. */
function argumentsOf(list: string): string[] {
  return list.split(", ");
}

function bytesOf(quoted: string): Uint8Array {
  const hex = quoted.slice(1, quoted.lastIndexOf('"')).replaceAll("\\x", "");
  const bytes = new Uint8Array(hex.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = parseInt(hex.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

function textOf(quoted: string): string {
  return new TextDecoder().decode(bytesOf(quoted));
}
