#!/bin/sh
# Starts nginx as PID 1, after writing what only the running container knows: its limits and its listeners.
set -eu

run=/run/deploy-apps
mkdir -p "$run"

# nginx refuses to start on the socket of a run that was killed. Nobody else listens here: the folder belongs to this container.
rm -f "$run/control.sock" "$run/probe.sock" "$run/errors.log"

# The hard limit is taken as it is: raising it needs CAP_SYS_RESOURCE, which the container has not.
# shellcheck disable=SC3045 # dash, the sh of the image, has `ulimit -n` and `-H`
ulimit -n "$(ulimit -H -n)"
# shellcheck disable=SC3045
files=$(ulimit -n)
[ "$files" = unlimited ] && files=1048576

# A proxied request needs two connections; 16384 cost 7 MB in each worker. 64 files stay for logs, sockets and the state.
connections=${WORKER_CONNECTIONS:-16384}
[ "$connections" -le $((files - 64)) ] || connections=$((files - 64))

printf 'worker_processes %s;\n' "${WORKERS:-auto}" > "$run/main.conf"
printf 'worker_connections %s;\n' "$connections" > "$run/events.conf"

listen() {
    printf 'listen %s default_server backlog=4096 so_keepalive=60s:15s:4;\n' "$1"
    # A kernel without IPv6 has no such socket.
    [ ! -e /proc/net/if_inet6 ] || printf 'listen [::]:%s default_server ipv6only=on backlog=4096 so_keepalive=60s:15s:4;\n' "$1"
}
# A listener takes connections with a PROXY line or without, never both: other apps come to port 80 without.
{
    listen 80
    [ "${PROXY_PROTOCOL:-}" != on ] || listen '8081 proxy_protocol'
} > "$run/listen.conf"
exec nginx -c /etc/nginx/nginx.conf
