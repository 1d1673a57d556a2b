#!/bin/sh
# Runs rsyslog, and at the start and once an hour deletes what is older than it has to be kept here.
set -eu
mkdir -p /logs/state
while :; do
    find /logs -name 'access-*.log' -mtime "+${KEEP_ACCESS_DAYS:-90}" -delete
    find /logs -name 'apps-*.log' -mtime "+${KEEP_APPS_DAYS:-30}" -delete
    sleep 3600
done &
exec rsyslogd -n -f /etc/rsyslog.conf -i /run/rsyslogd.pid
