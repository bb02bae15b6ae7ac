// The notebooks run from top to bottom in a real kernel, without an error, and say what their committed outputs say.

import { assert, assertEquals } from "./assert.ts";
import { findProgram, requires } from "./requirements.ts";

interface Output {
  readonly output_type: string;
  readonly text?: readonly string[];
  readonly data?: Readonly<Record<string, string | readonly string[]>>;
}

interface Notebook {
  readonly cells: readonly {
    readonly cell_type: string;
    readonly execution_count?: number | null;
    readonly outputs?: readonly Output[];
  }[];
}

const NOTEBOOKS = new URL("../notebooks/", import.meta.url);

async function read(url: URL): Promise<Notebook> {
  return JSON.parse(await Deno.readTextFile(url));
}

/** What a reader sees, of code cells in order; pictures by their kind alone. */
function shown({ cells }: Notebook): string[] {
  return cells.filter((cell) => cell.cell_type === "code").map(({ outputs = [] }) =>
    outputs.map(({ output_type, text, data = {} }) => {
      if (text) return text.join("");
      const plain = data["text/plain"];
      return plain === undefined ? `${output_type} ${Object.keys(data)}` : [plain].flat().join("");
    }).join("\n")
  );
}

/** A kernel specification that starts this Deno. */
async function kernelPath(): Promise<string> {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/kernels/deno`, { recursive: true });
  const specification = {
    argv: [Deno.execPath(), "jupyter", "--kernel", "--conn", "{connection_file}"],
    display_name: "Deno",
    language: "typescript",
  };
  await Deno.writeTextFile(`${folder}/kernels/deno/kernel.json`, JSON.stringify(specification));
  return folder;
}

const jupyter = findProgram("jupyter");
const remedy = "apt-get install jupyter-nbconvert python3-nbclient";

/** Runs a notebook from top to bottom; throws when a cell does. */
async function execute(name: string): Promise<Notebook> {
  const specification = await kernelPath();
  const output = await Deno.makeTempDir();
  try {
    const { success, stderr } = await new Deno.Command(jupyter as string, {
      args: ["nbconvert", "--to", "notebook", "--execute", "--output-dir", output, name],
      cwd: NOTEBOOKS,
      env: { JUPYTER_PATH: specification, NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return await read(new URL(`file://${output}/${name}`));
  } finally {
    await Deno.remove(output, { recursive: true });
    await Deno.remove(specification, { recursive: true });
  }
}

for (const entry of [...Deno.readDirSync(NOTEBOOKS)].filter(({ name }) => name.endsWith(".ipynb"))) {
  const committed = new URL(entry.name, NOTEBOOKS);

  Deno.test(`notebook ${entry.name}: every code cell is committed with its output`, async () => {
    for (const cell of (await read(committed)).cells) {
      if (cell.cell_type === "code") assert((cell.execution_count ?? 0) > 0 && cell.outputs?.length);
    }
  });

  Deno.test({
    name: `notebook ${entry.name}: runs in a kernel and shows what is committed`,
    ...requires("jupyter", jupyter, remedy),
    fn: async () => {
      const expected = shown(await read(committed));
      const seen = expected.map(() => false);
      // The stock kernel loses now and then what a cell shows last; what it does show has to be right every time.
      for (let attempt = 1; !seen.every(Boolean); attempt++) {
        assert(attempt <= 5, `cells that never showed anything: ${seen.map((yes, at) => yes ? "" : at)}`);
        for (const [at, text] of shown(await execute(entry.name)).entries()) {
          if (text === "") continue;
          assertEquals(text, expected[at], `code cell ${at}`);
          seen[at] = true;
        }
      }
    },
  });
}
