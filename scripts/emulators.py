"""Runs one emulator on 127.0.0.1 until its standard input ends, or the process that started it does.

usage: emulators.py ministack|moto|dynoxide|noida|osmem PORT [OWNER]

A test holds the other end of the input: when the test ends, however it ends, so does the emulator. With the process id of an owner,
ministack, moto and dynoxide run until that process ends: tests of one run share them.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PR_SET_PDEATHSIG = 1


def end_with_the_input():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def end_with(owner):
    """Ends this process with another one."""
    while os.path.exists(f"/proc/{owner}"):
        time.sleep(0.5)
    os._exit(0)


def end_with_the_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def become(package, program, arguments):
    """Goes on as the program in a package, which ends with whoever started this process."""
    path = os.path.join(os.path.dirname(package.__file__), program)
    end_with_the_parent()
    os.execv(path, [path, *arguments])


def watch(path, arguments, end):
    """Runs a program that ignores its input, until `end` ends this process."""
    child = subprocess.Popen([path, *arguments], stdin=subprocess.DEVNULL, preexec_fn=end_with_the_parent)
    threading.Thread(target=end, daemon=True).start()
    sys.exit(child.wait())


def main():
    name, port, *owner = sys.argv[1:]
    end = (lambda: end_with(owner[0])) if owner else end_with_the_input
    if name == "noida":
        import noida_db

        service = "elasticsearch"
        become(noida_db, "noida-db", ["start", "--only", service, f"--{service}-port", port, "--data-dir", "data"])
    if name == "osmem":
        import osmem_server

        become(osmem_server, "bin/osmem-server", ["-addr", f"127.0.0.1:{port}", "-no-ja"])
    if name == "dynoxide":
        tools = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.tools")
        watch(os.path.join(tools, "dynoxide/dynoxide"), ["serve", "--host", "127.0.0.1", "--port", port], end)
    sys.argv = [name]
    threading.Thread(target=end, daemon=True).start()
    if name == "ministack":
        os.environ.update(
            GATEWAY_PORT=port,
            BIND_HOST="127.0.0.1",
            SERVICES="ecs,sqs,cloudwatch,s3,dynamodb,logs",
            IOT_MTLS_ENABLED="0",
            MINISTACK_ACCOUNT_ID="123456789012",
        )
        from ministack.app import main as serve

        serve()
    else:
        from moto.server import main as serve

        serve(["-H", "127.0.0.1", "-p", port])


main()
