# shellcheck shell=sh
# What every part of the setup says and asks.

say() { printf 'setup: %s\n' "$1" >&2; }

fail() {
  printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
  exit 1
}

# The engine's own HTTP interface: the setup then needs no docker command line, of whatever version.
engine_api() {
  path=$1
  shift
  curl -sS --unix-socket /var/run/docker.sock "$@" "http://engine$path"
}

engine_answers() { [ "$(engine_api /_ping --max-time 5 2>/dev/null)" = OK ]; }

engine_version() { engine_api /version --max-time 5 | sed -n 's/^{.*"Version":"\([0-9][^"]*\)","ApiVersion".*/\1/p'; }

# Waits up to $1 seconds for the command in the other arguments to succeed.
await() {
  deadline=$(($(date +%s) + $1))
  shift
  until "$@"; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}
