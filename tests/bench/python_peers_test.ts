// The ways of NumPy in `deno task bench:peers`: they answer what attention is, and say what they were asked.

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertLess } from "../../testing/assert.ts";
import { findPython, requires } from "../../testing/requirements.ts";

const SCRIPT = fileURLToPath(new URL("../../bench/python/peers.py", import.meta.url));
const python = findPython("numpy");

Deno.test({
  name: "peers in Python: both ways are attention after many edits, up to float32",
  ...requires("NumPy", python, "pip install numpy"),
  fn: async () => {
    const { success, stdout } = await new Deno.Command(python!, {
      args: ["-B", SCRIPT, "numpy_ways", "1", "0.02", "7x40", "16x9"],
    })
      .output();
    assert(success);
    const lines = new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map(({ way, shape, threads }) => `${way} ${shape} ${threads}`), [
      "scratch 7x40 1",
      "continual 7x40 1",
      "scratch 16x9 1",
      "continual 16x9 1",
    ]);
    for (const { way, times, error } of lines) {
      assert(times.length >= 5 && times.every((time: number) => time > 0), way);
      assertLess(error, 1e-4, way);
      assert(error > 0, way);
    }
  },
});
