#!/usr/bin/env bash
# Installs the emulators of AWS and of Elasticsearch that the tests compare the fakes with, at pinned versions, into .tools/emulators. Needs Python 3.
# The tests start and end them by themselves.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.tools/emulators
if ! cmp -s scripts/emulators.txt "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement scripts/emulators.txt
  cp scripts/emulators.txt "$venv/installed.txt"
fi
