// Full suite: it runs a cluster on this machine for some seconds.

import { assert, assertEquals, assertStringIncludes } from "../../testing/assert.ts";

Deno.test("deno task cluster loads a memory, kills a host, and shows its status meanwhile", async () => {
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--no-check",
      "--quiet",
      "tools/cluster/run.ts",
      "--keys=500",
      "--hosts=3",
    ],
    cwd: new URL("../../", import.meta.url),
    stdout: "piped",
    stderr: "piped",
  });
  const child = command.spawn(), stderr = new Response(child.stderr).text();
  let said = "", page = "", metrics = "", isEnding = false;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    const address = /status: (http:\S+)/.exec(said)?.[1];
    if (address && page === "" && said.includes("is killed")) {
      page = await (await fetch(address)).text();
      metrics = await (await fetch(`${address}metrics`)).text();
      const { status, body } = await fetch(`${address}none`);
      await body?.cancel();
      assertEquals(status, 404);
    }
    if (!isEnding && said.includes("it goes on until Ctrl-C")) {
      isEnding = true;
      child.kill("SIGINT");
    }
  }
  const { code } = await child.status;
  assertEquals([code, await stderr], [0, ""], said);
  assertStringIncludes(said, "500 keys of 64 + 64 numbers are acknowledged");
  const answered = Number(/(\d+) reads were answered in the five seconds after that/.exec(said)?.[1]);
  assert(answered > 0, said);
  assertStringIncludes(page, "<td>15</td>");
  assertStringIncludes(metrics, `attune_partition_ready_replicas{partition="15"}`);
});
