// Jupyter's own server, started and ended by a test.

/** A server that runs. */
export interface JupyterServer extends AsyncDisposable {
  /** Where it is, its key included. */
  readonly address: URL;
  /** Asks it to end and waits until it has. */
  shutDown(): Promise<Deno.CommandStatus>;
}

/** What a server is started with. */
export interface ServerCommand {
  readonly args: string[];
  readonly env: Record<string, string>;
}

/**
 * Starts a program that starts a server, and waits for the address that it prints. However the test ends, the
 * server is asked to end, and told to if it cannot be asked.
 */
export async function startJupyter(
  program: string | URL,
  { args, env }: ServerCommand,
): Promise<JupyterServer> {
  const child = new Deno.Command(program, { args, env, stdin: "null", stdout: "null", stderr: "piped" })
    .spawn();
  const [log, rest] = child.stderr.tee();
  const drained = rest.pipeTo(new WritableStream());
  const end = async () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
    await child.status;
    await drained;
  };
  try {
    const address = await addressIn(log);
    let isDown = false;
    const shutDown = async () => {
      const headers = { authorization: `token ${address.searchParams.get("token")}` };
      const answer = await fetch(`${address.origin}/api/shutdown`, { method: "POST", headers });
      await answer.body?.cancel();
      isDown = true;
      return await child.status;
    };
    return {
      address,
      shutDown,
      [Symbol.asyncDispose]: async () => {
        try {
          if (!isDown) await shutDown();
        } finally {
          await end();
        }
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Where this Deno keeps what it has loaded, so that one in another home need not load it again. */
export function denoFolder(): string {
  const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/** The address that Jupyter prints, its key included. */
async function addressIn(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<URL> {
  let text = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const [address] = /http:\/\/127\.0\.0\.1:\d+\/(?:lab|tree)?\?token=\w+/.exec(text) ?? [];
    if (address) return new URL(address);
  }
  throw new Error(`Jupyter did not open: ${text}`);
}
