#!/usr/bin/env bash
# Checks the deployment files: syntax and style of the Dockerfile, syntax of Terraform, and that AWS accepts the shape of the
# task definition. Needs Python 3; installs its tools into .tools, at pinned versions.
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
