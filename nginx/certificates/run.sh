#!/bin/sh
# Gets certificates by ACME, as PID 1 of a container of its own. Without arguments it renews what is due, for ever; `order` gets one
# now. One order at a time: whoever comes second waits at the lock.
set -u
umask 077

folder=/var/lib/deploy-apps/acme
agent="luajit /etc/nginx/certificates/agent.lua"
# As long as two orders may take.
patience=400
too_long=75

mkdir -p "$folder" || exit 1

if [ $# -gt 0 ]; then
    # shellcheck disable=SC2086 # the command and its argument
    flock -w "$patience" -E "$too_long" "$folder/lock" $agent "$@"
    code=$?
    [ "$code" -ne "$too_long" ] || echo "another order has not ended within $patience s"
    exit "$code"
fi

child=
trap 'kill "$child" 2> /dev/null; exit 0' TERM INT
while :; do
    # It writes down after how many seconds it wants to look again.
    # shellcheck disable=SC2086
    flock "$folder/lock" $agent round > /tmp/pause &
    child=$!
    wait "$child"
    pause=$(cat /tmp/pause)
    sleep "${pause:-60}" &
    child=$!
    wait "$child"
done
