# shellcheck shell=sh
# Docker Engine: installed from the distribution, started the way the host starts its services.

# The engine's own HTTP interface: no docker command line, of whatever version, is needed.
engine_api() {
  path=$1
  shift
  curl -sS --unix-socket /var/run/docker.sock "$@" "http://engine$path"
}

engine_answers() { [ "$(engine_api /_ping --max-time 5 2>/dev/null)" = OK ]; }

engine_version() { engine_api /version --max-time 5 | sed -n 's/.*"Version":"\([0-9.]*\)[^"]*","ApiVersion".*/\1/p'; }

install_engine() {
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  case $codename in
    # Bookworm's 20.10 predates much of the build language; trixie's engine runs with bookworm's libc.
    bookworm) add_trixie && install_packages docker.io/trixie docker-cli/trixie iptables ca-certificates ;;
    *)
      install_packages docker.io iptables ca-certificates
      # Debian ships the command line apart since trixie, Ubuntu does not.
      has docker || install_packages docker-cli
      ;;
  esac
  say "engine $(dockerd --version | sed 's/^Docker version \([0-9.]*\).*/\1/') installed"
}

# Priority 100 keeps every package on bookworm but those asked for by release, and lets these get security updates.
add_trixie() {
  [ -n "${lists_fresh:-}" ] || refresh_lists
  archive=$(archive_of bookworm)
  security=$(archive_of bookworm-security)
  [ -n "$archive" ] || fail "apt knows no archive of \`bookworm\`" "look at /etc/apt/sources.list.d"
  printf 'Package: *\nPin: release n=trixie*\nPin-Priority: 100\n' >/etc/apt/preferences.d/deploy-apps-trixie
  archive_stanzas "$archive" "$security" trixie >/etc/apt/sources.list.d/deploy-apps-trixie.sources
  refresh_lists
}

start_engine() {
  if [ -d /run/systemd/system ]; then
    look="journalctl -u docker -n 50"
    quietly systemctl start docker || fail "systemd could not start \`docker\`" "$look"
  elif [ "$(cat /proc/1/comm)" = init ] && [ -x /etc/init.d/docker ]; then
    look="tail -n 50 /var/log/docker.log"
    quietly service docker start || fail "\`service docker start\` failed" "$look"
  else
    look="tail -n 50 /var/log/dockerd.log"
    weigh_containers
    start_detached
  fi
  deadline=$(($(date +%s) + 60))
  until engine_answers; do
    ! engine_died || fail "the engine exited while starting" "$look"
    [ "$(date +%s)" -lt "$deadline" ] || fail "the engine did not answer within 60 s" "$look"
    sleep 0.1
  done
  say "engine $(engine_version) started"
}

# Outlives this script and holds none of its files open, or a caller that reads our output would wait for ever.
# Containers inherit the file limit, and a proxy needs more than a shell's usual 1024.
# shellcheck disable=SC3045 # every sh of Debian and Ubuntu has these limits
start_detached() {
  limit=$(ulimit -H -n)
  [ "$limit" != unlimited ] && [ "$limit" -le 1048576 ] || limit=1048576
  (
    cd / && ulimit -n "$limit"
    exec setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
  ) &
  engine_pid=$!
}

# Without systemd all containers are one group, which by default weighs as much as the session of one busy shell: beside two
# of those, a dozen apps share a third of the processor, and one that starts takes half a minute for what is half a second's work.
# Four times that leaves the command and the engine enough. Best effort: not every host lets its groups be changed.
weigh_containers() {
  if [ -d /sys/fs/cgroup/cpu ]; then
    weight=/sys/fs/cgroup/cpu/docker/cpu.shares value=4096
  else
    weight=/sys/fs/cgroup/docker/cpu.weight value=400
    { echo +cpu >/sys/fs/cgroup/cgroup.subtree_control; } 2>/dev/null || return 0
  fi
  { mkdir -p "${weight%/*}" && echo "$value" >"$weight"; } 2>/dev/null || say "the weight of all containers together stays as it is"
}

engine_died() { [ -n "${engine_pid:-}" ] && ! kill -0 "$engine_pid" 2>/dev/null; }

engine_is_chosen() {
  [ -z "${DOCKER_HOST:-}${DOCKER_CONTEXT:-}" ] || return 0
  context=$(docker context inspect --format '{{.Name}}' 2>/dev/null) && [ "$context" != default ]
}

check_chosen_engine() {
  newline='
'
  chosen=${DOCKER_HOST:-the context \`${DOCKER_CONTEXT:-$context}\`}
  if has docker; then
    answer=$(timeout 20 docker version --format '{{.Server.Version}}' 2>&1)
  else
    case $chosen in
      unix://*) answer=$(curl -sS --max-time 10 --unix-socket "${chosen#unix://}" http://engine/_ping 2>&1) ;;
      tcp://*) answer=$(curl -sS --max-time 10 "http://${chosen#tcp://}/_ping" 2>&1) ;;
      *) answer="the docker command line is needed to ask it" && false ;;
    esac
  fi || fail "no answer from the engine at $chosen: ${answer##*"$newline"}" "start it there, or choose another: docker context use default, unset DOCKER_HOST"
  say "the engine at $chosen answers; none is set up here"
}
