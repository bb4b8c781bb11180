"""Verifies webhooks with the library of Standard Webhooks.

usage: webhooks.py SECRET < REQUESTS

Each line of the input is a request: a JSON object with `headers` and `body`. Each line of the output is its result: `verified` and the id
of the event, or `refused` and the reason.
"""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(sys.argv[1])
for line in sys.stdin.buffer:
    request = json.loads(line)
    try:
        print("verified", webhook.verify(request["body"], request["headers"])["id"])
    except WebhookVerificationError as error:
        print("refused", error)
