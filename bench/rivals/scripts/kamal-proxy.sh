#!/bin/sh
# The commands of a deploy that kamal runs on a host: new version up, proxy told, old version down.
# Its buffers are off, as its manual says for apps that stream. Needs NAME of the project, IMAGE and MARK of the version.
set -eu
new=$NAME-web-$MARK
old=$(docker ps --quiet --filter "name=^/?$NAME-web-")
id=$(docker run --detach --name "$new" --network "$NAME" --env "RELEASE_MARK=$MARK" "$IMAGE")
docker exec "$NAME-kamal-proxy" kamal-proxy deploy web --target "$(printf %.12s "$id"):8080" \
  --health-check-path /healthz --deploy-timeout 30s --drain-timeout 30s \
  --log-request-header Cache-Control --log-request-header Last-Modified --log-request-header User-Agent
[ -z "$old" ] || { docker stop "$old" && docker rm "$old"; } >/dev/null
