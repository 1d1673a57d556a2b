#!/bin/sh
# What the guides do: new version up, wait until it is healthy, rewrite the upstream, reload, old version down.
# Needs NAME of the project, IMAGE and MARK of the version.
set -eu
new=$NAME-web-$MARK
old=$(docker ps --quiet --filter "name=^/?$NAME-web-")
docker run --detach --name "$new" --network "$NAME" --env "RELEASE_MARK=$MARK" "$IMAGE" >/dev/null
address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$new")

deadline=$(($(date +%s) + 30))
until curl --fail --silent --output /dev/null --max-time 1 "http://$address:8080/healthz"; do
  [ "$(date +%s)" -lt "$deadline" ] || { printf 'error: `%s` is not healthy within 30 s\n' "$new" >&2 && exit 1; }
  sleep 0.1
done

docker exec "$NAME-nginx" sh -c "echo 'server $address:8080;' >/tmp/upstream.conf && nginx -c /tmp/nginx.conf -s reload"
[ -z "$old" ] || { docker stop "$old" && docker rm "$old"; } >/dev/null
