#!/bin/sh
# Runs rsyslog, and once an hour deletes what is older than it has to be kept here.
set -eu
mkdir -p /logs/state
while sleep 3600; do
    find /logs -name 'access-*.log' -mtime "+${KEEP_ACCESS_DAYS:-90}" -delete
    find /logs -name 'apps-*.log' -mtime "+${KEEP_APPS_DAYS:-30}" -delete
done &
exec rsyslogd -n -f /etc/rsyslog.conf -i /run/rsyslogd.pid
