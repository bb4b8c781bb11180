#!/usr/bin/env bash
# Checks the OpenAPI document of a running server, generates clients in Python and TypeScript, and runs them against that server.
#
# usage: scripts/clients.sh URL
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
server=$1

tools=$root/.tools/clients
if ! cmp -s scripts/clients.txt "$tools/installed.txt"; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement scripts/clients.txt
  cp scripts/clients.txt "$tools/installed.txt"
fi
command -v npm > /dev/null || { echo "clients.sh: npm is needed for the client in TypeScript; install Node.js 20 or later" >&2; exit 1; }
if ! cmp -s scripts/clients/package-lock.json "$tools/package-lock.json"; then
  cp scripts/clients/package.json scripts/clients/package-lock.json "$tools/"
  npm ci --prefix "$tools" --no-audit --no-fund --silent
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$tools/bin/python" -c 'import sys, urllib.request as r; open(sys.argv[2], "wb").write(r.urlopen(sys.argv[1]).read())' \
  "$server/openapi.json" "$work/openapi.json"

"$tools/bin/openapi-spec-validator" "$work/openapi.json"

echo "post_hooks: []" > "$work/python.yml"
"$tools/bin/openapi-python-client" generate --path "$work/openapi.json" --config "$work/python.yml" \
  --output-path "$work/python" --fail-on-warning
PYTHONPATH=$work/python "$tools/bin/python" scripts/clients/client.py "$server"

cp scripts/clients/client.ts scripts/clients/tsconfig.json "$work/"
ln -s "$tools/node_modules" "$work/node_modules"
cp "$tools/package.json" "$work/"
"$tools/node_modules/.bin/openapi-typescript" "$work/openapi.json" --output "$work/schema.d.ts"
"$tools/node_modules/.bin/tsc" --project "$work"
node "$work/client.js" "$server"
