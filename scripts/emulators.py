"""Runs one emulator on 127.0.0.1 until its standard input ends, or whoever started it does.

usage: emulators.py ministack|moto|dynoxide|noida|osmem PORT

A test holds the other end of the input: when the test ends, however it ends, so does the emulator.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1


def end_with_the_input():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def end_with_the_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def become(package, program, arguments):
    """Goes on as the program in a package, which ends with whoever started this process."""
    path = os.path.join(os.path.dirname(package.__file__), program)
    end_with_the_parent()
    os.execv(path, [path, *arguments])


def watch(path, arguments):
    """Runs a program that does not look at its input, until the input of this process ends."""
    child = subprocess.Popen([path, *arguments], stdin=subprocess.DEVNULL, preexec_fn=end_with_the_parent)
    threading.Thread(target=end_with_the_input, daemon=True).start()
    sys.exit(child.wait())


def main():
    name, port = sys.argv[1:]
    if name == "noida":
        import noida_db

        service = "elasticsearch"
        become(noida_db, "noida-db", ["start", "--only", service, f"--{service}-port", port, "--data-dir", "data"])
    if name == "osmem":
        import osmem_server

        become(osmem_server, "bin/osmem-server", ["-addr", f"127.0.0.1:{port}", "-no-ja"])
    if name == "dynoxide":
        tools = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.tools")
        watch(os.path.join(tools, "dynoxide/dynoxide"), ["serve", "--host", "127.0.0.1", "--port", port])
    sys.argv = [name]
    threading.Thread(target=end_with_the_input, daemon=True).start()
    if name == "ministack":
        os.environ.update(
            GATEWAY_PORT=port,
            BIND_HOST="127.0.0.1",
            SERVICES="ecs,sqs,cloudwatch,s3,dynamodb",
            IOT_MTLS_ENABLED="0",
            MINISTACK_ACCOUNT_ID="123456789012",
        )
        from ministack.app import main as serve

        serve()
    else:
        from moto.server import main as serve

        serve(["-H", "127.0.0.1", "-p", port])


main()
