#!/bin/bash
# Starts statsd just after a multiple of its flush interval, and so are all its flushes. Carbon keeps one value per slot of
# that length: a flush late by a second, on a busy machine, would else fall into the next one's slot and be overwritten.
set -eu
interval_ms=5000
now_ms=$(date +%s%3N)
sleep "$(printf '%d.%03d' $(((interval_ms - now_ms % interval_ms) / 1000)) $(((interval_ms - now_ms % interval_ms) % 1000)))"
exec node node_modules/statsd/bin/statsd config.js
