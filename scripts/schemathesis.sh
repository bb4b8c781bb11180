#!/usr/bin/env bash
# Runs Schemathesis to find responses that the OpenAPI document does not declare, and runs generated clients.
#
# usage: scripts/schemathesis.sh PATH_OF_THE_BINARY      (`make test-api` builds it)
#
# The server runs on a free port of 127.0.0.1 with a store in memory and a task definition that does nothing.
# EXAMPLES (50) bounds the cases per operation; SEED (1) makes a run repeatable.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

binary=$(realpath "$1")

venv=$root/.tools/venv
if ! cmp -s scripts/schemathesis.txt "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement scripts/schemathesis.txt
  cp scripts/schemathesis.txt "$venv/installed.txt"
fi

work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  rm -rf "$work"
}
trap finish EXIT

mkdir "$work/definitions"
cat > "$work/definitions/nightly-report.json" <<'JSON'
{"family": "nightly-report", "containerDefinitions": [{"name": "main", "command": ["true"], "essential": true}]}
JSON
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export ECSS_LISTEN="127.0.0.1:$port"
ECSS_STORE=memory ECSS_LAUNCHER=local ECSS_LOCAL_TASK_DEFINITIONS="$work/definitions" ECSS_DATA_DIR="$work/data" \
  "$binary" serve > "$work/server.log" 2>&1 &
server=$!

for _ in $(seq 200); do
  "$binary" health > /dev/null 2>&1 && break
  sleep 0.1
done
scripts/clients.sh "http://127.0.0.1:$port" || { tail -n 20 "$work/server.log"; exit 1; }

# It stores its findings for the next run, so it runs in a temporary folder. One check is left out: it takes the backfill of a new
# job, which is 404 until one is started, for a lost resource.
cd "$work"
# This server authenticates nobody, so the document without its security is checked; server/tests/it/access tries every route with tokens.
python3 - "http://127.0.0.1:$port/openapi.json" > open.json <<'PY'
import json, sys, urllib.request

document = json.load(urllib.request.urlopen(sys.argv[1]))
for item in document["paths"].values():
    for operation in item.values():
        operation.pop("security", None)
document["components"].pop("securitySchemes")
json.dump(document, sys.stdout)
PY
"$venv/bin/schemathesis" --config-file "$root/scripts/schemathesis.toml" run open.json --url "http://127.0.0.1:$port" \
  --workers 1 --seed "${SEED:-1}" --max-examples "${EXAMPLES:-50}" --checks all \
  --exclude-checks ensure_resource_availability \
  || { tail -n 20 "$work/server.log"; exit 1; }
kill -0 "$server"
