#!/bin/sh
# Waits for the certificate, if there is to be one, and serves until its standard input ends: as long as the test lives.
set -eu
printf 'ann:%s\n' "$(perl -e 'print crypt($ARGV[0], q($2y$05$) . q(abcdefghijklmnopqrstuu))' "$PASSWORD")" >/htpasswd
if [ "${TLS:-}" = yes ]; then
  until [ -e /tls/ready ]; do sleep 0.05; done
  export REGISTRY_HTTP_TLS_CERTIFICATE=/tls/cert.pem REGISTRY_HTTP_TLS_KEY=/tls/key.pem
fi
exec 3<&0 </dev/null
docker-registry serve /etc/registry.yml 3<&- &
registry=$!
{ read -r _ <&3; kill "$registry"; } &
wait "$registry"
