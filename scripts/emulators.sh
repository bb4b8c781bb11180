#!/usr/bin/env bash
# Installs the emulators of AWS and of Elasticsearch that the tests compare the fakes with, and the library that verifies signatures of webhooks,
# at pinned versions, into .tools. Needs Python 3, and npm on an x86-64 machine: one of them is a program that is published there.
# The tests start and end them by themselves.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.tools/emulators
if ! cmp -s scripts/emulators.txt "$venv/installed.txt"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement scripts/emulators.txt
  cp scripts/emulators.txt "$venv/installed.txt"
fi

webhooks=.tools/webhooks
if ! cmp -s scripts/webhooks.txt "$webhooks/installed.txt"; then
  python3 -m venv "$webhooks"
  "$webhooks/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement scripts/webhooks.txt
  cp scripts/webhooks.txt "$webhooks/installed.txt"
fi

dynoxide=.tools/dynoxide
read -r version sum <scripts/dynoxide.txt
if [ "$("$dynoxide/dynoxide" --version 2>/dev/null)" != "dynoxide $version" ]; then
  command -v npm >/dev/null || { echo "emulators.sh: npm is needed for dynoxide; install Node.js 20 or later" >&2; exit 1; }
  mkdir -p "$dynoxide"
  # npm compares the package with its registry, the checksum compares it with the reviewed version.
  npm pack --silent "@dynoxide/linux-x64@$version" --pack-destination "$dynoxide" >/dev/null
  package="$dynoxide/dynoxide-linux-x64-$version.tgz"
  echo "$sum  $package" | sha256sum --check --quiet
  tar --extract --file "$package" --directory "$dynoxide" --strip-components=1
  rm "$package"
fi
