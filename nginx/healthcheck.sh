#!/bin/sh
# Healthy means: a worker answers on the control socket. Of the container that has the published ports: of the proxy that serves.
# One that has handed over and ended waits for its removal.
if tr '\0' ' ' < /proc/1/cmdline | grep -q '^listeners wait'; then
    exit 0
fi
printf 'GET /v1/instance HTTP/1.0\r\n\r\n' \
    | socat -t3 - UNIX-CONNECT:/run/deploy-apps/control.sock \
    | grep -q '"phase":'
