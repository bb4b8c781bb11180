# Runs a PostgreSQL server until standard input is closed, which happens in any case when the process that started it ends. With
# the id of another process, the owner, it runs until that one ends.
# Usage: sh server.sh <folder of initdb and postgres> <port> <password> [<owner>]; writes the folder of the cluster, and `ready`
# once the server accepts connections, else the log.
#
# initdb takes most of the time of a start, so its cluster is kept as an archive for later servers, under a name with the
# server's version and all options. The archive is complete when it gets that name, and its owner is checked.
# fsync is off: it protects commits from a crash of the operating system, which no test causes.
set -eu
trap '' INT TERM HUP
folder=$(mktemp -d)
echo "$folder"
options="--username=scheduler --auth=scram-sha-256 --encoding=UTF8 --locale=C --wal-segsize=1 --no-sync"
key=$({ "$1/postgres" --version && echo "$options $3"; } | cksum | tr ' ' -)
archive=${TMPDIR:-/tmp}/ecs-scheduler-postgres-$(id -u)-$key.tar
if ! { [ -O "$archive" ] && tar -C "$folder" -xpf "$archive"; } 2>"$folder/tar.log"; then
  rm -rf "$folder/data"
  echo "$3" >"$folder/password"
  # shellcheck disable=SC2086 # The options are words.
  "$1/initdb" --pgdata="$folder/data" --pwfile="$folder/password" $options >"$folder/initdb.log" 2>&1 ||
    { cat "$folder/initdb.log"; rm -rf "$folder"; exit 1; }
  { tar -C "$folder" -cf "$folder/data.tar" data && sync "$folder/data.tar" && mv -f "$folder/data.tar" "$archive"; } \
    2>>"$folder/tar.log" || true
fi
openssl req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
  -keyout "$folder/data/server.key" -out "$folder/server.crt" 2>"$folder/openssl.log"
chmod 600 "$folder/data/server.key"
: >"$folder/server.log"
"$1/postgres" -D "$folder/data" -p "$2" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
  -c max_connections=1000 -c fsync=off -c ssl=on -c ssl_cert_file="$folder/server.crt" >"$folder/server.log" 2>&1 &
server=$!
until grep -q "ready to accept connections" "$folder/server.log"; do
  kill -0 "$server" 2>/dev/null || { cat "$folder/server.log"; rm -rf "$folder"; exit 1; }
  sleep 0.02
done
echo ready
exec >/dev/null 2>&1
if [ $# -eq 3 ]; then
  read -r _ || true
else
  while [ -d "/proc/$4" ]; do sleep 0.5; done
fi
kill -QUIT "$server"
wait "$server" || true
rm -rf "$folder"
