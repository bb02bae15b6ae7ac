// Full suite: it cuts machines off for some seconds each, in networks of its own.
//
// A machine that is cut off from the others, in both directions or one, while a client on it and a client outside edit
// and read: every call ends in time, with a typed error or the oracle's answer over the records that it names; every
// acknowledged edit is in the log; when the network is back, all goes on.

import { assert } from "../../../testing/assert.ts";
import { hasNetworkPrograms, NAMESPACES_REMEDY, ownNetwork } from "../../../testing/cluster/machines.ts";
import { findNatsServer, NATS_REMEDY } from "../../../testing/cluster/nats_server.ts";
import { IS_LONG, requires } from "../../../testing/requirements.ts";

const command = ownNetwork(), ROUNDS = IS_LONG ? 4 : 2;
// What a container forbids is no program that could be installed.
const isForbidden = command === undefined && hasNetworkPrograms();
const { ignore: hasNoNetwork } = requires(
  "a network namespace",
  command?.[0],
  NAMESPACES_REMEDY,
  isForbidden ? false : undefined,
);
const { ignore: hasNoServer } = requires("nats-server", findNatsServer(), NATS_REMEDY);

for (const [servers, what] of [[1, "a host"], [3, "one of three servers, with a host,"]] as const) {
  Deno.test({
    name: `cluster: the machine of ${what} is cut off: a typed error or a right answer`,
    ignore: hasNoNetwork || hasNoServer,
    fn: async () => {
      const program = new URL("../../../testing/cluster/cut_network.ts", import.meta.url).pathname;
      const [first, ...others] = [
        ...command ?? [],
        Deno.execPath(),
        "run",
        "--allow-all",
        "--no-check",
        "--quiet",
      ];
      const { success, stdout, stderr } = await new Deno.Command(first, {
        args: [...others, program, `${servers}`, `${ROUNDS}`],
        stdin: "null",
      }).output();
      const said = new TextDecoder().decode(stdout);
      console.log(said.trimEnd());
      assert(success, said + new TextDecoder().decode(stderr));
    },
  });
}
