// The graph of imports of the whole tree, as Deno resolves it, and the rooms of CONTRIBUTING.md that its modules are in.

import { fileURLToPath } from "node:url";

/** One import, with both ends relative to the repository; a target outside of it is a whole specifier. */
export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly isDynamic: boolean;
  /** Whether it is of types alone, so that nothing is loaded. */
  readonly isType: boolean;
}

/** A row of the table of rooms: the paths that it claims, of which the longest that fits a module wins. */
export interface Room {
  readonly name: string;
  readonly claims: readonly string[];
}

/** Reads the table of rooms in CONTRIBUTING.md, the topmost first. */
export async function readRooms(root: URL): Promise<Room[]> {
  const page = await Deno.readTextFile(new URL("CONTRIBUTING.md", root));
  const table = page.slice(page.indexOf("## Layout"), page.indexOf("## Tests"));
  return [...table.matchAll(/^\| (`[^|]+`) +\|/gm)].map(([, cell]) => {
    const claims = [...cell.matchAll(/`([^`]+)`/g)].map(([, path]) => path);
    return { name: claims.join(", "), claims };
  });
}

/** The number of the room that claims a module; −1 for none. */
export function roomOf(path: string, rooms: readonly Room[]): number {
  let found = -1, longest = 0;
  rooms.forEach(({ claims }, at) => {
    for (const claim of claims) {
      const fits = claim.endsWith("/") ? path.startsWith(claim) : path === claim;
      if (fits && claim.length > longest) [found, longest] = [at, claim.length];
    }
  });
  return found;
}

/** All modules of the repository that Deno runs, those included that git does not track yet and does not ignore. */
export async function listModules(root: URL): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "--cached", "--others", "--exclude-standard", "*.ts", "*.js"],
    cwd: root,
  }).output();
  const paths = new TextDecoder().decode(stdout).split("\n");
  const isRun = (path: string) => path !== "" && !path.endsWith(".d.ts") && !path.includes("/assembly/");
  return (await Promise.all(
    paths.filter(isRun).map(async (path) => {
      return await Deno.stat(new URL(path, root)).then(() => [path], () => []);
    }),
  )).flat();
}

interface Dependency {
  readonly code?: { readonly specifier?: string };
  readonly type?: { readonly specifier?: string };
  readonly isDynamic?: boolean;
}

/**
 * The imports of all modules, those of types and those on demand included.
 *
 * @throws {Error} When Deno cannot resolve one.
 */
export async function readArrows(root: URL, modules: readonly string[]): Promise<Arrow[]> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    entry,
    modules.map((path) => `import ${JSON.stringify(new URL(path, root).href)};`).join("\n"),
  );
  const config = fileURLToPath(new URL("deno.json", root)),
    lock = fileURLToPath(new URL("locks/development.lock", root));
  // Revisions from before there were lock files are read too.
  const locked = await Deno.stat(lock).then(() => [`--lock=${lock}`, "--frozen"], () => ["--no-lock"]);
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--config", config, ...locked, entry],
    env: { NO_COLOR: "1" },
  }).output();
  await Deno.remove(entry);
  if (!success) throw new Error(`readArrows: ${new TextDecoder().decode(stderr)}`);
  const graph: { modules: { specifier: string; dependencies?: Dependency[] }[] } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  const shorten = (specifier: string) =>
    specifier.startsWith(root.href) ? specifier.slice(root.href.length) : specifier;
  return graph.modules.flatMap(({ specifier, dependencies = [] }) => {
    const from = shorten(specifier);
    if (from === specifier) return [];
    return dependencies.flatMap(({ code, type, isDynamic = false }) =>
      [{ to: code?.specifier, isType: false }, { to: type?.specifier, isType: true }].flatMap((
        { to, isType },
      ) => to === undefined ? [] : [{ from, to: shorten(to), isDynamic, isType }])
    );
  });
}

/** The pairs of different rooms of which the first imports from the second, by their numbers. */
export function arrowsBetween(
  arrows: readonly Arrow[],
  rooms: readonly Room[],
): (readonly [from: number, to: number])[] {
  const found = new Map<string, readonly [number, number]>();
  for (const { from, to } of arrows) {
    const pair = [roomOf(from, rooms), roomOf(to, rooms)] as const;
    if (pair[0] !== pair[1] && !pair.includes(-1)) found.set(pair.join(), pair);
  }
  return [...found.values()];
}

/**
 * How many floors rooms need so that each stands above all that it imports; rooms of a circle share a floor, since none
 * of them can stand above the others.
 */
export function floorsOf(pairs: readonly (readonly [from: number, to: number])[]): number {
  const rooms = new Set(pairs.flat());
  const below = new Map([...rooms].map((room) => [room, reached(room, pairs)]));
  const floors = new Map<number, number>();
  const floorOf = (room: number): number => {
    const known = floors.get(room);
    if (known !== undefined) return known;
    const lower = [...below.get(room)!].filter((other) => !below.get(other)!.has(room));
    const floor = 1 + Math.max(0, ...lower.map(floorOf));
    floors.set(room, floor);
    return floor;
  };
  return Math.max(0, ...[...rooms].map(floorOf));
}

/** The rooms to which a chain of imports leads. */
function reached(room: number, pairs: readonly (readonly [number, number])[]): Set<number> {
  const found = new Set<number>(), open = [room];
  while (open.length > 0) {
    const at = open.pop();
    for (const [from, to] of pairs) {
      if (from !== at || found.has(to)) continue;
      found.add(to);
      open.push(to);
    }
  }
  return found;
}
