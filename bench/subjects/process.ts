// The process of one subject: its first argument says whose, then each line of standard input is a question.

import { measureFmaLimit } from "../limit/fma_chain.ts";
import { PEERS } from "../peers/roster.ts";
import { type Question, reasonOf, type Reply, REPLY_MARK, type Role } from "./messages.ts";
import type { Subject } from "./subject.ts";

async function load(role: Role): Promise<Subject | null> {
  if (role.kind === "limit") return null;
  // Libraries that take a thread a core ask here how many there are.
  Object.defineProperty(navigator, "hardwareConcurrency", { value: role.threads });
  if (role.kind === "attune") {
    const { AttuneSubject } = await import("./attune_subject.ts");
    return new AttuneSubject(role.backend);
  }
  const form = PEERS.find(({ name }) => name === role.form);
  if (!form) throw new Error(`there is no peer ${JSON.stringify(role.form)}`);
  const { PeerSubject } = await import("./peer_subject.ts");
  return new PeerSubject(await form.load(role.threads));
}

async function answer(question: Question, role: Role, subject: Subject | null) {
  if (question.ask === "limit") return await measureFmaLimit(question.limits);
  if (subject === null) throw new Error(`there is no subject to ask ${question.ask}`);
  switch (question.ask) {
    case "measure":
      return await subject.measure(question.shape, question.workload, question.limits);
    case "memory":
      return await subject.memory(question.shape);
    case "scale": {
      if (role.kind !== "attune") throw new Error("scale is asked of an engine");
      const { measureScale } = await import("./scale.ts");
      return await measureScale(question.shape, role.backend, question.limits);
    }
  }
}

async function* linesOf(input: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of input.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

async function replyWith(work: () => Promise<Exclude<Reply, { failure: string }>["answer"]>): Promise<void> {
  const reply: Reply = await work().then(
    (answer) => ({ answer }),
    (thrown) => ({ failure: reasonOf(thrown) }),
  );
  await Deno.stdout.write(new TextEncoder().encode(`${REPLY_MARK}${JSON.stringify(reply)}\n`));
}

if (import.meta.main) {
  const role: Role = JSON.parse(Deno.args[0]);
  let subject: Subject | null = null;
  await replyWith(async () => {
    subject = await load(role);
    return null;
  });
  for await (const line of linesOf(Deno.stdin.readable)) {
    await replyWith(() => answer(JSON.parse(line), role, subject));
  }
  // Workers of a peer would keep the process alive.
  Deno.exit();
}
