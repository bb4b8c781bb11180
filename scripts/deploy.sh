#!/usr/bin/env bash
# Checks what is only used elsewhere: the Dockerfile's syntax and habits, Terraform's syntax, and that AWS would take the
# task definition's shape. Needs Python 3; installs its tools into .tools, at pinned versions.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.tools/deploy
if ! cmp -s scripts/deploy.txt "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement scripts/deploy.txt
  cp scripts/deploy.txt "$venv/installed.txt"
fi

"$venv/bin/hadolint" Dockerfile
echo "ok Dockerfile"
"$venv/bin/python" scripts/deploy.py
