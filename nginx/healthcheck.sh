#!/bin/sh
# Healthy means: a worker answers on the control socket.
printf 'GET /version HTTP/1.0\r\n\r\n' \
    | socat -t3 - UNIX-CONNECT:/run/deploy-apps/control.sock \
    | grep -q '"api":'
