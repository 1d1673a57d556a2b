# shellcheck shell=sh
# Docker Engine: installed from the distribution, started the way the host starts its services.

install_engine() {
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  case $codename in
    # Bookworm's 20.10 predates much of the build language. Trixie's engine needs no newer libc, so only it comes from there.
    bookworm) add_trixie && install docker.io/trixie docker-cli/trixie iptables ca-certificates ;;
    *) install docker.io iptables ca-certificates && apt_knows docker-cli && install docker-cli ;;
  esac
  say "engine $(dockerd --version | sed -n 's/^Docker version \([^,+]*\).*/\1/p') installed"
}

apt_knows() { [ -n "$(apt-cache show --no-all-versions "$1" 2>/dev/null)" ]; }

# Priority 100 keeps every installed package on bookworm; only what is asked for by release comes from trixie.
add_trixie() {
  archive=$(archive_of bookworm)
  [ -n "$archive" ] || fail "apt knows no archive of \`bookworm\`" "check /etc/apt/sources.list.d"
  printf 'Package: *\nPin: release n=trixie*\nPin-Priority: 100\n' >/etc/apt/preferences.d/deploy-apps-trixie
  printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' "$archive" "$DEBIAN_KEYS" \
    >/etc/apt/sources.list.d/deploy-apps-trixie.sources
  refresh_lists
}

start_engine() {
  if [ -d /run/systemd/system ]; then
    quietly systemctl start docker || fail "systemd could not start \`docker\`" "journalctl -u docker -n 50"
    log="journalctl -u docker -n 50"
  elif [ "$(cat /proc/1/comm)" = init ] && [ -x /etc/init.d/docker ]; then
    quietly service docker start || fail "\`service docker start\` failed" "tail -n 50 /var/log/docker.log"
    log="tail -n 50 /var/log/docker.log"
  else
    start_detached
    log="tail -n 50 /var/log/dockerd.log"
  fi
  await 60 engine_answers || fail "the engine did not answer within 60 s" "$log"
  say "engine $(engine_version) started"
}

# Outlives this script and holds none of its files open: a caller's pipe would otherwise never end.
# Containers inherit the file limit; a proxy needs more than a shell's usual 1024.
start_detached() (
  hard=$(ulimit -H -n)
  [ "$hard" != unlimited ] && [ "$hard" -le 1048576 ] || hard=1048576
  ulimit -n "$hard"
  cd /
  setsid -f dockerd >/var/log/dockerd.log 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
)

check_chosen_engine() {
  chosen="DOCKER_CONTEXT=${DOCKER_CONTEXT:-}"
  [ -z "${DOCKER_HOST:-}" ] || chosen="DOCKER_HOST=$DOCKER_HOST"
  if command -v docker >/dev/null; then
    version=$(timeout 20 docker version --format '{{.Server.Version}}' 2>&1) || fail "no engine answers at $chosen: $version" "unset ${chosen%%=*}, or start the engine there"
  else
    case ${DOCKER_HOST:-} in
      unix://*) curl -sS --max-time 10 --unix-socket "${DOCKER_HOST#unix://}" http://engine/_ping >/dev/null ;;
      tcp://*) curl -sS --max-time 10 "http://${DOCKER_HOST#tcp://}/_ping" >/dev/null ;;
      *) false ;;
    esac || fail "cannot check the engine at $chosen without the docker command line" "apt-get install docker-cli"
  fi
  say "engine at $chosen answers, nothing is installed here"
}
