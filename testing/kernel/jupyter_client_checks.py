"""What Jupyter's own client expects of a kernel: started, used, stopped, restarted and shut down by it.

Prints a line "ok NAME" for each check; the name of the kernelspec is the first argument.
"""

import queue
import sys
import time

from jupyter_client.manager import start_new_kernel

TIMEOUT = 120


def run(client, code, **options):
    """Executes code; gives its reply and what it has shown up to the idle."""
    outputs = []
    reply = client.execute_interactive(code, timeout=TIMEOUT, output_hook=outputs.append, **options)
    return reply["content"], outputs


def text_of(outputs):
    return [message["content"]["data"]["text/plain"] for message in outputs if "data" in message["content"]]


def wait_until_it_runs(client):
    while True:
        message = client.get_iopub_msg(timeout=TIMEOUT)
        if message["msg_type"] == "stream":
            return


manager, client = start_new_kernel(startup_timeout=TIMEOUT, kernel_name=sys.argv[1])
try:
    reply = client.kernel_info(reply=True, timeout=TIMEOUT)["content"]
    assert reply["status"] == "ok" and reply["language_info"]["name"] == "typescript", reply
    print("ok kernel_info")

    content, outputs = run(client, "console.log('seen'); let kept = 41; 'last'")
    assert content["status"] == "ok" and content["execution_count"] == 1, content
    assert [message["msg_type"] for message in outputs if message["msg_type"] != "status"] == [
        "execute_input",
        "stream",
        "execute_result",
    ], outputs
    print("ok execute")

    content, outputs = run(client, "throw new RangeError('no')")
    assert (content["status"], content["ename"]) == ("error", "RangeError"), content
    print("ok error")

    asked = []
    content, outputs = run(
        client,
        "prompt('who?')",
        allow_stdin=True,
        stdin_hook=lambda message: (asked.append(message["content"]["prompt"]), client.input("me")),
    )
    assert len(asked) == 1 and "me" in text_of(outputs)[0], (asked, outputs)
    print("ok stdin")

    for code in ("while (true);", "await new Promise(() => {})", "await null; while (true);"):
        message_id = client.execute("console.log('begun'); await null; " + code)
        wait_until_it_runs(client)
        time.sleep(0.2)
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=TIMEOUT)
        assert reply["parent_header"]["msg_id"] == message_id, reply
        assert (reply["content"]["status"], reply["content"]["ename"]) == ("error", "Interrupted"), reply["content"]
        content, outputs = run(client, "kept += 1")
        assert content["status"] == "ok", content
    print("ok interrupt")

    manager.restart_kernel(now=False)
    client.wait_for_ready(timeout=TIMEOUT)
    content, outputs = run(client, "typeof kept")
    assert "undefined" in text_of(outputs)[0], outputs
    print("ok restart")

    client.stop_channels()
    manager.shutdown_kernel(now=False)
    assert not manager.is_alive()
    print("ok shutdown")
except queue.Empty:
    sys.exit("the kernel did not answer")
finally:
    if manager.is_alive():
        manager.shutdown_kernel(now=True)
