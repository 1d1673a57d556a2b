#!/bin/sh
# Starts nginx as PID 1, after writing what only the running container knows: its limits and its listeners.
set -eu

run=/run/deploy-apps
mkdir -p "$run"

# How proxies that hand over to each other share the volume: their sockets, and who of them serves (lua/handover/).
shared=/var/lib/deploy-apps/run
control=$run/control.sock

# The container that has the published ports: it opens them for whichever nginx serves, and the control socket leads there.
if [ "${1:-}" = hold ]; then
    shift
    mkdir -p "$shared"
    # Who reaches these sockets controls the proxy.
    chmod 0700 "$shared"
    # Of a proxy that was removed: who served then says nothing about the containers of this one.
    read -r name < /proc/sys/kernel/hostname
    if [ "$(cat "$shared/holder" 2> /dev/null)" != "$name" ]; then
        rm -f "$shared"/*.sock "$shared/retiring"
        echo "$name" > "$shared/holder"
    fi
    ln -sfn "$shared/control.sock" "$run/control.sock"
    exec listeners hold "$shared/listeners.sock" "$@"
fi

if [ -n "${INSTANCE:-}" ]; then
    # The listeners first: the rest of what is found on the volume is then the present holder's.
    [ "${1:-}" = taken ] || exec listeners take "$shared/listeners.sock" "$0" taken
    serving=$(readlink "$shared/control.sock" || true)
    # A later one serves: this one has ended, and waits to be removed.
    if [ "${serving%.sock}" -gt "$INSTANCE" ] 2> /dev/null; then
        rm -f "$shared/$INSTANCE.sock"
        exec listeners wait
    fi
    control=$shared/$INSTANCE.sock
    rm -f "$control"
    ln -sfn "$control" "$run/control.sock"
fi

# nginx refuses to start on the socket of a run that was killed. Nobody else listens here: the folder belongs to this container.
rm -f "$run/probe.sock" "$run/errors.log"
printf 'listen unix:%s;\n' "$control" > "$run/control.conf"
if [ -z "${INSTANCE:-}" ]; then
    rm -f "$control"
    # The same for the container that gets certificates, which has the volume only. On a full disk it waits until the next start.
    if mkdir -p "$shared" && chmod 0700 "$shared" && rm -f "$shared/test.sock" && : > "$shared/test.sock"; then
        printf 'listen unix:%s/control.sock;\n' "$shared" >> "$run/control.conf"
    fi
    rm -f "$shared/control.sock" "$shared/test.sock"
fi

# The hard limit is taken as it is: raising it needs CAP_SYS_RESOURCE, which the container has not.
# shellcheck disable=SC3045 # dash, the sh of the image, has `ulimit -n` and `-H`
ulimit -n "$(ulimit -H -n)"
# shellcheck disable=SC3045
files=$(ulimit -n)
[ "$files" = unlimited ] && files=1048576

# What the container may have in MiB, by cgroup v2 or v1; nothing where there is no limit.
memory() {
    for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
        [ -r "$file" ] || continue
        read -r bytes < "$file"
        case $bytes in
            max | ????????????????*) ;;
            *) echo $((bytes / 1048576)) ;;
        esac
        return
    done
}

workers=${WORKERS:-$(nproc)}
# A proxied request needs two connections; 16384 cost 7 MB in each worker. 64 files stay for logs, sockets and the state.
connections=${WORKER_CONNECTIONS:-16384}
memory=$(memory)
# Beside the tables in shared memory (160 MiB) half may go into workers, at 20 MiB each, and the rest into what their connections
# hold, at 16 KiB each. More would end with the kernel killing a worker and all its connections.
if [ -n "$memory" ]; then
    spare=$((memory > 200 ? memory - 160 : 40))
    [ "$workers" -le $((spare / 40 + 1)) ] || workers=$((spare / 40 + 1))
    fitting=$(((spare - workers * 20) * 64 / workers))
    [ "$fitting" -ge 512 ] || fitting=512
    [ "$connections" -le "$fitting" ] || connections=$fitting
fi
[ "$connections" -le $((files - 64)) ] || connections=$((files - 64))

printf 'worker_processes %s;\n' "$workers" > "$run/main.conf"
printf 'worker_connections %s;\n' "$connections" > "$run/events.conf"

# One address may hold so many connections that with a request on each they take half of all, in each worker; whoever comes
# from elsewhere finds the other half. A trusted proxy speaks for many clients: it is not counted, but the open requests of
# each of those are, with 128 bytes for a client.
share=${CONNECTIONS_PER_CLIENT:-$((connections * workers / 4))}
worker_share=${CONNECTIONS_PER_CLIENT:-$((connections / 4))}
trusted=$(printf '%s' "${TRUSTED_PROXIES:-}" | tr ',' ' ')
printf 'client_connections %s %s %s;\n' "$share" "$worker_share" $((connections * workers)) > "$run/clients.conf"
: > "$run/share.conf"
if [ -n "${trusted% }" ]; then
    {
        printf 'client_connections_exempt %s;\n' "$trusted"
        printf 'geo $remote_addr $is_trusted_proxy {\n    default 0;\n'
        for proxy in $trusted; do printf '    %s 1;\n' "$proxy"; done
        printf '}\nlimit_conn_zone $client_behind zone=clients:%sk;\n' $((connections * workers / 16 + 1024))
    } >> "$run/clients.conf"
    # Before nginx counts: who it is that the trusted proxy speaks for.
    printf 'if ($is_trusted_proxy) {\n    set_by_lua_block $client_behind { return proxy.identify() }\n}\n' > "$run/share.conf"
    printf 'limit_conn clients %s;\n' "$share" >> "$run/share.conf"
fi

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
# Where no port of https is published there is no listener, and nothing of it costs anything.
{
    if [ -n "${HTTPS_PORT:-}" ]; then
        listen '443 ssl'
        [ "${PROXY_PROTOCOL:-}" != on ] || listen '8443 ssl proxy_protocol'
        echo 'include /etc/nginx/https.conf;'
    fi
} > "$run/https.conf"
# A full disk must not keep the proxy from starting.
log=/var/lib/deploy-apps/log
if [ "${ACCESS_LOG:-stdout}" = file ] && ! { mkdir -p "$log" && : >> "$log/access.log"; }; then
    echo '[proxy] the access log cannot be written on the volume, so it goes to stdout' >&2
    ACCESS_LOG=stdout
fi
case ${ACCESS_LOG:-stdout} in
    # Lines of several workers never mix: the kernel appends each buffer in one piece.
    file) echo "access_log $log/access.log json buffer=32k flush=1s;" ;;
    off) echo 'access_log off;' ;;
    # A line stays below 4096 bytes, what a pipe takes in one piece.
    *) echo 'access_log /dev/stdout json buffer=4k flush=1s;' ;;
esac > "$run/access.conf"
export ACCESS_LOG
exec nginx -c /etc/nginx/nginx.conf
