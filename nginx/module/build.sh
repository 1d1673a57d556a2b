#!/bin/sh
# Compiles the modules against the headers of Debian's nginx, and the program that holds the listeners. Runs in the image's build, in /module.
set -eu

src=/usr/share/nginx/src/src
module() {
    name=$1
    shift
    gcc -O2 -Wall -Wextra -Werror -Wno-unused-parameter -shared -fPIC \
        -I. -I$src/core -I$src/event -I$src/event/modules -I$src/event/quic -I$src/os/unix -I$src/http -I$src/http/modules \
        -I$src/http/v2 \
        -o "${name}_module.so" "${name}_module.c" "$@"
}
module ngx_http_upstream_guard handover.c goaway.c
module ngx_http_client_connections ngx_http_client_table.c
module ngx_http_body_limit
gcc -O2 -Wall -Wextra -Werror -o listeners listeners.c
