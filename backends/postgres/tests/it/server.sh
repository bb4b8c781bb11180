# Runs a PostgreSQL server until standard input is closed, which happens in any case when the process that started it ends.
# Usage: sh server.sh <folder of initdb and postgres> <port> <password>; writes the folder of the cluster, then the log.
set -eu
trap '' INT TERM HUP
folder=$(mktemp -d)
echo "$folder"
echo "$3" >"$folder/password"
"$1/initdb" --pgdata="$folder/data" --username=scheduler --pwfile="$folder/password" --auth=scram-sha-256 \
  --encoding=UTF8 --locale=C --no-sync >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log"; rm -rf "$folder"; exit 1; }
openssl req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
  -keyout "$folder/data/server.key" -out "$folder/server.crt" 2>"$folder/openssl.log"
chmod 600 "$folder/data/server.key"
"$1/postgres" -D "$folder/data" -p "$2" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
  -c max_connections=200 -c fsync=on -c ssl=on -c ssl_cert_file="$folder/server.crt" 2>&1 &
server=$!
read -r _ || true
kill -QUIT "$server"
wait "$server" || true
rm -rf "$folder"
