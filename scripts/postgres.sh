#!/usr/bin/env bash
# Installs the PostgreSQL server and the PgBouncer that the tests start, from Debian's packages, unless they are there. Needs root to
# install. The tests make their own cluster in a temporary folder and end it by themselves; no service is started.
set -euo pipefail

found() {
  { command -v initdb && command -v postgres || compgen -G '/usr/lib/postgresql/*/bin/initdb'; } >/dev/null &&
    { command -v pgbouncer || test -x /usr/sbin/pgbouncer; } >/dev/null
}

found && exit 0
if ! command -v apt-get >/dev/null; then
  echo "install the PostgreSQL server, 12 or newer, and PgBouncer, and put initdb, postgres and pgbouncer into PATH" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update
# Else the package makes a cluster and starts it.
settings=/etc/postgresql-common/createcluster.conf
if [ ! -e "$settings" ]; then
  "${as_root[@]}" mkdir --parents "${settings%/*}"
  echo 'create_main_cluster = false' | "${as_root[@]}" tee "$settings" >/dev/null
fi
# In run level 1 no package starts its service.
"${as_root[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql pgbouncer
found
