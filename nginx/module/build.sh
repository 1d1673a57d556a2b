#!/bin/sh
# Compiles the module against the headers of Debian's nginx. Runs in the image's build, in /module.
set -eu

src=/usr/share/nginx/src/src
exec gcc -O2 -Wall -Wextra -Werror -Wno-unused-parameter -shared -fPIC \
    -I. -I$src/core -I$src/event -I$src/event/modules -I$src/event/quic -I$src/os/unix -I$src/http -I$src/http/modules \
    -o ngx_http_upstream_guard_module.so ngx_http_upstream_guard_module.c
