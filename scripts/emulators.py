"""Runs one emulator of AWS on 127.0.0.1 until its standard input ends.

usage: emulators.py ministack|moto PORT

A test holds the other end of the input: when the test ends, however it ends, so does the emulator.
"""

import os
import sys
import threading


def end_with_the_input():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def main():
    name, port = sys.argv[1:]
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
