// A process that writes the batches of a stream to a durable folder, a few at a time, and says on its standard output which
// of them were acknowledged, until it is killed or has written as many as it was told to.
//
//     writer.ts FOLDER '{ "stream": {…}, "inFlight": 4, "journalBytes": 4096, "sync": "full", "until": 100 }'

import { openDurable } from "../../src/durable/mod.ts";
import { EditStream, prepareNext, type StreamSettings } from "./edit_stream.ts";

/** What the writer is told. */
export interface WriterSettings {
  readonly stream: StreamSettings;
  /** Batches that wait for their acknowledgement at once. */
  readonly inFlight: number;
  readonly journalBytes?: number;
  readonly sync?: "full" | "normal";
  /** The last batch; Infinity where there is none. */
  readonly until?: number;
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const [folder, text] = Deno.args;
  const { stream: settings, inFlight, journalBytes, sync = "full", until = Infinity }: WriterSettings = JSON
    .parse(text);
  const stream = new EditStream(settings);
  say("opening");
  try {
    const live = await openDurable(folder, {
      create: stream.options(),
      client: "writer",
      sync,
      ...(journalBytes === undefined ? {} : { snapshot: { journalBytes } }),
    });
    // The newest batch that counted may be one of which nobody was told: it is sent again, and must not count again.
    const counted = live.lastClientSequence(), { sequence } = live.stats().durable;
    stream.advanceTo(counted - 1);
    if (counted > 0) await live.edit(stream.next(), { clientSequence: counted });
    if (live.stats().durable.sequence !== sequence) throw new Error(`batch ${counted} counted twice`);
    say(`open ${stream.made}`);
    let said = "";
    const writeNext = async () => {
      while (stream.made < until) {
        prepareNext(live, stream);
        const edits = stream.next(), clientSequence = stream.made;
        await live.edit(edits, { clientSequence });
        say(`ack ${clientSequence}`);
        const { isSnapshotting, snapshot } = live.stats().durable;
        const now = `${isSnapshotting} ${snapshot.sequence}`;
        if (now !== said) say("snapshot");
        said = now;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, writeNext));
    await live.dispose();
    say("done");
  } catch (error) {
    say(`error ${error instanceof Error ? `${error.name}: ${error.message}` : error}`);
    Deno.exit(3);
  }
}
