"""Runs one emulator on 127.0.0.1 until its standard input ends, or whoever started it does.

usage: emulators.py ministack|moto|noida|osmem PORT

A test holds the other end of the input: when the test ends, however it ends, so does the emulator.
"""

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1


def end_with_the_input():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def become(package, program, arguments):
    """Goes on as the program in a package, which ends with whoever started this process."""
    path = os.path.join(os.path.dirname(package.__file__), program)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(path, [path, *arguments])


def main():
    name, port = sys.argv[1:]
    if name == "noida":
        import noida_db

        service = "elasticsearch"
        become(noida_db, "noida-db", ["start", "--only", service, f"--{service}-port", port, "--data-dir", "data"])
    if name == "osmem":
        import osmem_server

        become(osmem_server, "bin/osmem-server", ["-addr", f"127.0.0.1:{port}", "-no-ja"])
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
