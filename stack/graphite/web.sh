#!/bin/sh
# Serves graphite-web. Saved graphs and dashboards are in a small database, made or brought up to date at each start.
set -eu
django-admin migrate --settings=graphite.settings --run-syncdb --noinput --verbosity=0
# One process with threads: sessions are signed with a key of the process.
exec gunicorn --bind=0.0.0.0:8080 --workers=1 --threads=8 --worker-tmp-dir=/tmp web:application
